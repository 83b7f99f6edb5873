package fetch_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tlpipe/tlpipe/internal/digest"
	"github.com/tlpipe/tlpipe/internal/fetch"
)

// TestLies plays servers that mean harm. Whatever they answer, a fetch ends with an error, after a bounded number of
// requests, and its part never has more than the largest file that was allowed.
func TestLies(t *testing.T) {
	const most = 4 << 20
	big := make([]byte, 3<<20)
	copy(big, content(1))
	endless := func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write(big[:1<<18]); err != nil {
				return
			}
		}
	}
	// resumed cuts the first answer after 2 MB, and answers each Range by lie.
	resumed := func(lie func(w http.ResponseWriter, from int)) http.HandlerFunc {
		first := cut(whole(big, `"v1"`), 2<<20)
		return func(w http.ResponseWriter, r *http.Request) {
			from, ok := strings.CutPrefix(r.Header.Get("Range"), "bytes=")
			if !ok {
				first(w, r)
				return
			}
			n, err := strconv.Atoi(strings.TrimSuffix(from, "-"))
			if err != nil || n > len(big) {
				panic(http.ErrAbortHandler)
			}
			lie(w, n)
		}
	}
	partial := func(w http.ResponseWriter, from, total int, body []byte) {
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(big)-1, total))
		w.WriteHeader(http.StatusPartialContent)
		_, _ = w.Write(body)
	}
	redirect := func(to string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", to)
			w.WriteHeader(http.StatusFound)
		}
	}
	raw := func(head string, more func(write func(string) error)) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			c, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				panic(err)
			}
			defer c.Close()
			_, _ = c.Write([]byte(head))
			if more != nil {
				more(func(s string) error { _, err := c.Write([]byte(s)); return err })
			}
		}
	}
	for name, c := range map[string]struct {
		answer   http.HandlerFunc
		want     string
		requests int // at most
	}{
		"without end":                 {endless, "sends more than the limit of 4194 kB", 1},
		"a length beyond all":         {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", "4611686018427387904") }, "the limit is 4194 kB", 1},
		"a byte now and then":         {drip, "fewer than 20 bytes came in 200ms", 4},
		"a head without end":          {raw("HTTP/1.1 200 OK\r\n", func(write func(string) error) { write(strings.Repeat("X-A: "+strings.Repeat("b", 9000)+"\r\n", 1000)) }), "headers exceed", 4},
		"no HTTP":                     {raw("HTTP/1.1 2\x1b[31m OK\r\n\r\n", nil), "malformed HTTP", 4},
		"a negative length":           {raw("HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nabc", nil), "bad Content-Length", 4},
		"another scheme":              {redirect("file:///etc/passwd"), `it redirects to "file:…"`, 1},
		"gopher":                      {redirect("gopher://127.0.0.1/x?sig=SECRET"), "no http or https address", 1},
		"escape characters":           {redirect("http://localhost/\x1b]0;pwn\x07"), "malformed", 4},
		"a circle that grows":         {func(w http.ResponseWriter, r *http.Request) { redirect(r.URL.Path+strings.Repeat("a", 50))(w, r) }, "circle", 12},
		"wait until the sun is cold":  {status(503, "Retry-After", "99999999999999999"), "asks to be tried again", 1},
		"wait a negative time":        {status(503, "Retry-After", "-5"), "503", 4},
		"the rest from elsewhere":     {resumed(func(w http.ResponseWriter, from int) { partial(w, from-100, len(big), big[from-100:]) }), "was changed on the server", 9},
		"the rest of something else":  {resumed(func(w http.ResponseWriter, from int) { partial(w, from, len(big), make([]byte, len(big)-from)) }), "the connection was cut", 9},
		"the rest of something large": {resumed(func(w http.ResponseWriter, from int) { partial(w, from, 1<<62, big[from:]) }), "the limit is 4194 kB", 3},
		"more than the rest":          {resumed(func(w http.ResponseWriter, from int) { partial(w, from, len(big), make([]byte, len(big))) }), "the connection was cut", 9},
		"all of it again, cut again":  {resumed(func(w http.ResponseWriter, _ int) { cut(whole(big, `"v1"`), 2<<20)(w, plainRequest()) }), "the connection was cut", 9},
		"there is no more": {resumed(func(w http.ResponseWriter, from int) {
			status(416, "Content-Range", fmt.Sprintf("bytes */%d", from))(w, nil)
		}), "not what was expected", 9},
		"206 unasked": {status(206, "Content-Range", "bytes 0-999/1000"), "206", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, c.answer)
			path := filepath.Join(t.TempDir(), "file")
			f := client(fetch.Hub{})
			f.Stall, f.Rate = 200*time.Millisecond, 100
			if !strings.Contains(name, "byte") {
				f.Stall = time.Minute
			}
			largest := int64(0)
			_, err := f.Fetch(context.Background(), fetch.Request{
				URL: s.URL + "/file", Path: path, Limits: fetch.Limits{Most: most}, Expected: digest.Expected{SHA256: sum(content(3))},
				Progress: func(done, _ int64) { largest = max(largest, done) },
			})
			failed := new(fetch.Error)
			if !errors.As(err, &failed) || !strings.Contains(err.Error(), c.want) || strings.ContainsAny(err.Error(), "\x1b\x07") || strings.Contains(err.Error(), "SECRET") {
				t.Errorf("error %q, want one with %q", err, c.want)
			}
			if n := len(s.seen()); n > c.requests {
				t.Errorf("%d requests, want %d at most", n, c.requests)
			}
			if info, err := os.Stat(path); largest > most || err == nil && info.Size() > most {
				t.Errorf("the part had %d bytes", largest)
			}
		})
	}
}

// The limits of a request stand in place of the client's.
func TestLimitsOfARequest(t *testing.T) {
	s := newSite(t, drip)
	for _, c := range []struct {
		limits fetch.Limits
		want   string
	}{
		{fetch.Limits{Stall: 200 * time.Millisecond, Rate: 1000}, "fewer than 200 bytes came in 200ms"},
		{fetch.Limits{Most: 999_999}, "it has 1000 kB, the limit is 999 kB"},
	} {
		f := client(fetch.Hub{})
		f.Stall, f.Rate = time.Hour, 1
		_, err := f.Fetch(context.Background(), fetch.Request{URL: s.URL, Path: filepath.Join(t.TempDir(), "file"), Limits: c.limits})
		if err == nil || !strings.Contains(err.Error(), c.want) || !fetch.LimitError(err) {
			t.Errorf("%+v: error %v, want one with %q", c.limits, err, c.want)
		}
	}
}

func drip(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Length", "1000000")
	for r.Context().Err() == nil {
		if _, err := w.Write([]byte("x")); err != nil {
			return
		}
		w.(http.Flusher).Flush()
		select {
		case <-r.Context().Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func plainRequest() *http.Request {
	r, err := http.NewRequest(http.MethodGet, "/", nil)
	if err != nil {
		panic(err)
	}
	return r
}

// A server that begins anew each time and each time brings a little more is not asked for ever either.
func TestBeginningsCount(t *testing.T) {
	size := 1 << 20
	s := newSite(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(60<<20))
		size += 3 << 19
		_, _ = w.Write(make([]byte, size))
		panic(http.ErrAbortHandler)
	})
	_, err := client(fetch.Hub{}).Fetch(context.Background(), fetch.Request{URL: s.URL, Path: filepath.Join(t.TempDir(), "file"), Limits: fetch.Limits{Most: 60 << 20}})
	if err == nil || !strings.Contains(err.Error(), "again and again from the start") || len(s.seen()) > 20 {
		t.Errorf("%d requests, error %v", len(s.seen()), err)
	}
}
