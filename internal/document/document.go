package document

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
)

// Format is what a file is.
type Format string

// The formats.
const (
	Plain Format = "text"
	Mail  Format = "mail"
	HTML  Format = "html"
)

// FormatOf tells the format of a file by the ending of its name; ok is false if it does not claim to be text.
func FormatOf(name string) (f Format, ok bool) {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".txt", ".text", ".md":
		return Plain, true
	case ".eml":
		return Mail, true
	case ".html", ".htm", ".xhtml":
		return HTML, true
	}
	return "", false
}

// Read makes text of a file's bytes, in UTF-8 with lines that end in LF.
func Read(data []byte, f Format) (string, error) {
	text, err := "", error(nil)
	switch f {
	case Plain:
		text, err = decode(data)
	case Mail:
		text, err = readMail(data)
	case HTML:
		text, err = readHTML(data)
	default:
		return "", fmt.Errorf("there is no format %q", f)
	}
	return lines(text), err
}

// errNotText is for bytes that are text in no encoding.
var errNotText = errors.New("it is not text: it has control characters")

// decode reads plain text.
func decode(data []byte) (string, error) {
	switch {
	case bytes.HasPrefix(data, []byte{0xEF, 0xBB, 0xBF}):
		data = data[3:]
	case bytes.HasPrefix(data, []byte{0xFF, 0xFE}), bytes.HasPrefix(data, []byte{0xFE, 0xFF}):
		wide, err := unicode.UTF16(unicode.LittleEndian, unicode.ExpectBOM).NewDecoder().Bytes(data)
		if err != nil {
			return "", fmt.Errorf("it is not UTF-16, as its first bytes say: %w", err)
		}
		return printable(string(wide))
	}
	if utf8.Valid(data) {
		return printable(string(data))
	}
	for _, b := range data {
		switch b {
		case 0x81, 0x8D, 0x8F, 0x90, 0x9D: // no characters
			return "", errors.New("it is neither UTF-8 nor Windows-1252 (Latin-1): convert it to UTF-8")
		}
	}
	latin, err := charmap.Windows1252.NewDecoder().Bytes(data)
	if err != nil {
		return "", err
	}
	return printable(string(latin))
}

// printable refuses text with the control characters of binary files. Those that text files have had stay: tabs, breaks of
// lines and pages, escapes of terminals.
func printable(text string) (string, error) {
	controls := 0
	for _, r := range text {
		switch {
		case r == 0:
			return "", errNotText
		case r < ' ' && !strings.ContainsRune("\t\n\v\f\r\x1b", r):
			controls++
		}
	}
	if controls > len(text)/256 {
		return "", errNotText
	}
	return text, nil
}

// lines makes all line ends LF, and spaces at both ends of the text disappear.
func lines(text string) string {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	return strings.TrimSpace(strings.ReplaceAll(text, "\r", "\n"))
}
