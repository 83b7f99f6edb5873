// Package mails holds the texts built into tlpipe: 2,855 mails of the years 2002 and 2003 with the labels ham and spam, of the
// SpamAssassin public corpus. Each is subject and text, without addresses and cut off after 1,200 characters; of mails that say
// nearly the same there is one.
//
// mails.zip is made by make/main.go of a published package; NOTICE at the root of the repository names source and licence.
package mails

import (
	"archive/zip"
	_ "embed"
	"encoding/csv"
	"fmt"
	"strings"
)

//go:embed mails.zip
var archive string

// Mail is one of them.
type Mail struct {
	ID    string // the corpus's folder and number: "spam-1/00001"
	Label string // ham or spam
	Text  string
}

// All reads the mails, sorted by id.
func All() ([]Mail, error) {
	in, err := zip.NewReader(strings.NewReader(archive), int64(len(archive)))
	if err != nil {
		return nil, fmt.Errorf("open the built-in mails: %w", err)
	}
	f, err := in.Open("mails.csv")
	if err != nil {
		return nil, fmt.Errorf("open the built-in mails: %w", err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("read the built-in mails: %w", err)
	}
	var out []Mail
	for _, row := range rows[1:] { // below the header
		out = append(out, Mail{row[0], row[1], row[2]})
	}
	return out, nil
}
