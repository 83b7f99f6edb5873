package document_test

import (
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/internal/document"
)

func TestRead(t *testing.T) {
	for _, c := range []struct {
		name, data string
		format     document.Format
		want       string // of the text, or of the error
	}{
		{"UTF-8", "\xef\xbb\xbfgrün\r\nund blau\n", document.Plain, "grün\nund blau"},
		{"UTF-16", "\xff\xfeh\x00i\x00", document.Plain, "hi"},
		{"Latin-1", "gr\xfcn", document.Plain, "grün"},
		{"Shift-JIS", "\x93\x8c\x8b\x9e\x81\x41", document.Plain, "neither UTF-8 nor Windows-1252"},
		{"binary", "\x7fELF\x00\x01", document.Plain, "it is not text"},
		{"page", "<html><head><title>T</title><style>p{}</style></head><body><p>One <b>bo</b>ld &amp; two<br>three<script>x()</script></p></body></html>",
			document.HTML, "T\nOne bold & two\nthree"},
		{"mail", "From: a@b.c\nSubject: =?iso-8859-1?q?Gr=FC=DFe?=\n\nHello,\nworld\n", document.Mail, "Grüße\n\nHello,\nworld"},
		{"quoted printable", "Subject: s\nContent-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\ngr=FCn\n",
			document.Mail, "s\n\ngrün"},
		{"alternatives", "Subject: s\nContent-Type: multipart/alternative; boundary=x\n\n--x\nContent-Type: text/html\n\n<p>page</p>\n--x\nContent-Type: text/plain\n\nplain\n--x--\n",
			document.Mail, "s\n\nplain"},
		{"page with an attachment", "Subject: s\nContent-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: text/html\nContent-Transfer-Encoding: base64\n\nPGI+YjwvYj4gPGk+aTwvaT4=\n--x\nContent-Type: text/plain\nContent-Disposition: attachment\n\nsecret\n--x\nContent-Type: image/png\n\n\x89PNG\n--x--\n",
			document.Mail, "s\n\nb i"},
		{"mbox line and a broken field", "From someone Mon Sep  2 2002\nno field at all\nSubject: s\n\nbody\n", document.Mail, "s\n\nbody"},
		{"unknown encoding", "Subject: s\nContent-Type: text/plain; charset=klingon\n\nplain\n", document.Mail, "s\n\nplain"},
		{"no mail", "just\nwords\n", document.Mail, "it is not a mail"},
		{"deep", deepMail(20), document.Mail, "more than 8 deep"},
	} {
		got, err := document.Read([]byte(c.data), c.format)
		if err != nil {
			got = err.Error()
			if !strings.Contains(got, c.want) {
				t.Errorf("%s: %v, want %q", c.name, err, c.want)
			}
		} else if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func deepMail(n int) string {
	return "Subject: s\n" + strings.Repeat("Content-Type: message/rfc822\n\n", n) + "Subject: t\n\nend\n"
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("Subject: =?utf-8?b?eA==?=\nContent-Type: multipart/mixed; boundary=x\n\n--x\n\na\n--x--\n"), 1)
	f.Add([]byte("<p>a<script>b"), 2)
	f.Add([]byte("\xff\xfea\x00"), 0)
	f.Fuzz(func(t *testing.T, data []byte, format int) {
		formats := []document.Format{document.Plain, document.Mail, document.HTML}
		text, err := document.Read(data, formats[(format%3+3)%3])
		if err == nil && strings.Contains(text, "\x00") {
			t.Error("text with a zero byte")
		}
	})
}
