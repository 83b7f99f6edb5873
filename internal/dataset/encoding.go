package dataset

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
)

// textEncoding is how a table's text is written.
type textEncoding struct {
	decoder *encoding.Decoder
	crLines bool   // lines end in CR alone
	note    string // for people, if it is anything but UTF-8
}

// encodingOf finds out how a text is written: by its byte order mark; as UTF-8, if all of it is valid; else it is
// taken for Windows-1252, whose printable characters are those of Latin-1 and more. It reads from to the end.
func encodingOf(from io.Reader) (e textEncoding, err error) {
	in := bufio.NewReaderSize(from, 1<<16)
	head, err := in.Peek(1 << 12)
	if err != nil && !errors.Is(err, io.EOF) {
		return e, err
	}
	switch {
	case bytes.HasPrefix(head, []byte{0xFF, 0xFE}), bytes.HasPrefix(head, []byte{0xFE, 0xFF}):
		e.decoder = unicode.UTF16(unicode.LittleEndian, unicode.ExpectBOM).NewDecoder()
		e.note = "read as UTF-16"
	case len(head) >= 4 && head[0] != 0 && head[1] == 0 && head[3] == 0:
		e.decoder = unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM).NewDecoder()
		e.note = "read as UTF-16 without a byte order mark"
	default:
		valid, err := validUTF8(in)
		if err != nil {
			return e, err
		}
		e.decoder = unicode.UTF8BOM.NewDecoder()
		if !valid {
			e.decoder = charmap.Windows1252.NewDecoder()
			e.note = "not valid UTF-8, read as Windows-1252 (Latin-1)"
		}
	}
	plain, err := e.decoder.Bytes(head[:len(head)&^1])
	if err != nil {
		plain = head
	}
	e.crLines = bytes.IndexByte(plain, '\r') >= 0 && bytes.IndexByte(plain, '\n') < 0
	return e, nil
}

// reader gives the text in UTF-8, with lines that end in LF or CR LF.
func (e textEncoding) reader(from io.Reader) io.Reader {
	decoded := e.decoder.Reader(from)
	if !e.crLines {
		return decoded
	}
	return readerFunc(func(p []byte) (int, error) {
		n, err := decoded.Read(p)
		for i := range p[:n] {
			if p[i] == '\r' {
				p[i] = '\n'
			}
		}
		return n, err
	})
}

// validUTF8 tells whether all of a text is UTF-8.
func validUTF8(in io.Reader) (bool, error) {
	buffer := make([]byte, 1<<16)
	kept := 0 // bytes of a character that is not whole yet
	for {
		n, err := in.Read(buffer[kept:])
		part := buffer[:kept+n]
		if utf8.Valid(part) { // by far the quickest
			part = nil
		}
		for len(part) > 0 {
			r, size := utf8.DecodeRune(part)
			if r == utf8.RuneError && size <= 1 {
				if !utf8.FullRune(part) && err == nil {
					break
				}
				return false, nil
			}
			part = part[size:]
		}
		kept = copy(buffer, part)
		if errors.Is(err, io.EOF) {
			return kept == 0, nil
		}
		if err != nil {
			return false, err
		}
	}
}
