package document

import (
	"bytes"
	"errors"
	"io"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/charset"
)

// readHTML reads a web page in the encoding that it declares.
func readHTML(data []byte) (string, error) {
	encoding, _, _ := charset.DetermineEncoding(data, "")
	decoded, err := encoding.NewDecoder().Bytes(data)
	if err != nil {
		return "", err
	}
	text, err := printable(string(decoded))
	if err != nil {
		return "", err
	}
	return stripHTML(text)
}

// stripHTML leaves the text that a reader of the page would see.
func stripHTML(page string) (string, error) {
	tokens := html.NewTokenizer(strings.NewReader(page))
	tokens.SetMaxBuf(1 << 22)
	var out bytes.Buffer
	hidden := "" // the element that is not shown
	for {
		switch tokens.Next() {
		case html.ErrorToken:
			if err := tokens.Err(); !errors.Is(err, io.EOF) {
				return "", err
			}
			return squeeze(out.String()), nil
		case html.TextToken:
			if hidden == "" {
				out.Write(tokens.Text())
			}
		case html.StartTagToken, html.SelfClosingTagToken:
			name, _ := tokens.TagName()
			switch string(name) {
			case "script", "style", "template", "noscript":
				if hidden == "" {
					hidden = string(name)
				}
			}
			out.WriteString(between(string(name)))
		case html.EndTagToken:
			name, _ := tokens.TagName()
			if string(name) == hidden {
				hidden = ""
			}
			out.WriteString(between(string(name)))
		}
	}
}

// between is what stands in the place of a tag: elements in a line leave words whole, cells are apart, others begin a line.
func between(element string) string {
	switch element {
	case "a", "abbr", "b", "big", "code", "em", "font", "i", "s", "small", "span", "strike", "strong", "sub", "sup", "tt", "u":
		return ""
	case "td", "th", "img":
		return " "
	}
	return "\n"
}

// squeeze leaves one space of several, and no empty lines.
func squeeze(text string) string {
	var out strings.Builder
	for line := range strings.SplitSeq(text, "\n") {
		for i, word := range strings.Fields(line) {
			if i > 0 {
				out.WriteByte(' ')
			} else if out.Len() > 0 {
				out.WriteByte('\n')
			}
			out.WriteString(word)
		}
	}
	return out.String()
}
