package document

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"net/textproto"
	"strings"

	"golang.org/x/net/html/charset"
)

// Bounds of a mail's parts.
const (
	mostParts = 256
	mostDepth = 8
)

// readMail reads the subject and the text of a mail.
func readMail(data []byte) (string, error) {
	message, err := parseMail(data)
	if err != nil {
		return "", fmt.Errorf("it is not a mail: %w", err)
	}
	decoder := mime.WordDecoder{CharsetReader: charset.NewReaderLabel}
	subject := message.Header.Get("Subject")
	if decoded, err := decoder.DecodeHeader(subject); err == nil {
		subject = decoded
	}
	if subject, err = decode([]byte(subject)); err != nil {
		return "", err
	}
	r := mailReader{left: mostParts}
	body, err := r.part(textproto.MIMEHeader(message.Header), message.Body, 0)
	if err != nil {
		return "", err
	}
	return strings.Join(strings.Fields(subject), " ") + "\n\n" + body, nil
}

// parseMail parts a mail into header and body. Lines of the header that are none, as old programs wrote them, are left out.
func parseMail(data []byte) (*mail.Message, error) {
	message, err := mail.ReadMessage(bytes.NewReader(data))
	if err == nil && len(message.Header) > 0 {
		return message, nil
	}
	var header bytes.Buffer
	fields, rest := 0, data
	for len(rest) > 0 {
		line, after, _ := bytes.Cut(rest, []byte("\n"))
		line = bytes.TrimSuffix(line, []byte("\r"))
		rest = after
		if len(line) == 0 {
			break
		}
		folded := line[0] == ' ' || line[0] == '\t'
		name, _, found := bytes.Cut(line, []byte(":"))
		if folded && fields > 0 || !folded && found && isFieldName(name) {
			header.Write(line)
			header.WriteString("\r\n")
			fields++
		}
	}
	if fields == 0 {
		return nil, errors.New("it has no header")
	}
	header.WriteString("\r\n")
	header.Write(rest)
	return mail.ReadMessage(&header)
}

// isFieldName tells whether a text may name a field of a header (RFC 5322, 2.2).
func isFieldName(name []byte) bool {
	for _, b := range name {
		if b <= ' ' || b >= 0x7F {
			return false
		}
	}
	return len(name) > 0
}

// mailReader reads the parts of one mail.
type mailReader struct{ left int }

// part reads the text of a part, "" if it has none.
func (r *mailReader) part(header textproto.MIMEHeader, body io.Reader, depth int) (string, error) {
	if r.left--; r.left < 0 {
		return "", fmt.Errorf("it has more than %d parts", mostParts)
	}
	if depth > mostDepth {
		return "", fmt.Errorf("its parts lie in each other more than %d deep", mostDepth)
	}
	kind, params, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil && kind == "" {
		kind = "text/plain" // RFC 2045, 5.2, and whatever cannot be read
	}
	if disposition, _, _ := mime.ParseMediaType(header.Get("Content-Disposition")); disposition == "attachment" {
		return "", nil
	}
	switch {
	case strings.HasPrefix(kind, "multipart/") && params["boundary"] != "":
		return r.parts(kind, multipart.NewReader(body, params["boundary"]), depth)
	case kind == "message/rfc822":
		data, err := io.ReadAll(body)
		if err != nil {
			return "", err
		}
		inner, err := parseMail(data)
		if err != nil {
			return "", nil // quoted, and damaged: the mail itself is not
		}
		return r.part(textproto.MIMEHeader(inner.Header), inner.Body, depth+1)
	case kind != "text/plain" && kind != "text/html" && !strings.HasPrefix(kind, "multipart/"):
		return "", nil
	}
	data, err := io.ReadAll(transferred(header.Get("Content-Transfer-Encoding"), body))
	if err != nil && len(data) == 0 {
		return "", fmt.Errorf("its text cannot be decoded: %w", err)
	}
	text, err := r.text(data, params["charset"])
	if err != nil {
		return "", err
	}
	if kind == "text/html" {
		return stripHTML(text)
	}
	return text, nil
}

// text reads the bytes of a part in the encoding that it declares, if that is known and true.
func (r *mailReader) text(data []byte, label string) (string, error) {
	if encoding, name := charset.Lookup(label); encoding != nil && name != "utf-8" && name != "replacement" {
		if decoded, err := encoding.NewDecoder().Bytes(data); err == nil {
			return printable(string(decoded))
		}
	}
	return decode(data)
}

// transferred undoes a transfer encoding.
func transferred(encoding string, body io.Reader) io.Reader {
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "base64":
		return base64.NewDecoder(base64.StdEncoding, body)
	case "quoted-printable":
		return quotedprintable.NewReader(body)
	}
	return body
}

// parts reads those of a multipart: one of alternatives, the plain one if there is, or all.
func (r *mailReader) parts(kind string, in *multipart.Reader, depth int) (string, error) {
	var texts []string
	plain := ""
	for {
		p, err := in.NextRawPart()
		if err != nil { // the end, or a boundary that is missing: what was found is the text
			break
		}
		text, err := r.part(p.Header, p, depth+1)
		if err != nil {
			return "", err
		}
		if strings.TrimSpace(text) == "" {
			continue
		}
		texts = append(texts, text)
		if media, _, _ := mime.ParseMediaType(p.Header.Get("Content-Type")); plain == "" && (media == "text/plain" || media == "") {
			plain = text
		}
	}
	if kind == "multipart/alternative" && len(texts) > 0 {
		if plain != "" {
			return plain, nil
		}
		return texts[len(texts)-1], nil // the last is the richest (RFC 2046, 5.1.4)
	}
	return strings.Join(texts, "\n\n"), nil
}
