package fetch_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tlpipe/tlpipe/internal/digest"
	"github.com/tlpipe/tlpipe/internal/fetch"
)

// content is a file of some buffers' length.
func content(seed uint64) []byte {
	random := rand.New(rand.NewPCG(seed, 1))
	out := make([]byte, 700_001)
	for i := range out {
		out[i] = byte(random.Uint32())
	}
	return out
}

func sum(b []byte) string { return fmt.Sprintf("%x", sha256.Sum256(b)) }

// site is a server whose answers are written down: one a request, the last for all that follow.
type site struct {
	*httptest.Server
	mu       sync.Mutex
	answers  []http.HandlerFunc
	requests []*http.Request
}

// seen lists the requests so far.
func (s *site) seen() []*http.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

func newSite(t *testing.T, answers ...http.HandlerFunc) *site {
	s := &site{answers: answers}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		answer := s.answers[min(len(s.requests), len(s.answers)-1)]
		s.requests = append(s.requests, r.Clone(r.Context()))
		s.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

// whole serves a file as servers should: with ranges, under an ETag.
func whole(file []byte, etag string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", etag)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(file))
	}
}

// cut serves so many bytes of what answer would send, and ends the connection; stall keeps it open.
func cut(answer http.HandlerFunc, after int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		answer(&short{w, after}, r)
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
}

func stall(answer http.HandlerFunc, after int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		answer(&short{w, after}, r)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	}
}

type short struct {
	http.ResponseWriter
	left int
}

func (s *short) Write(b []byte) (int, error) {
	n, err := s.ResponseWriter.Write(b[:min(len(b), s.left)])
	s.left -= n
	if err == nil && n < len(b) {
		err = errors.New("cut")
	}
	return n, err
}

func status(code int, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		http.Error(w, "<html>an error page</html>", code)
	}
}

// client is one that waits little.
func client(hub fetch.Hub) *fetch.Client {
	c := fetch.New(hub)
	c.Stall, c.Wait, c.Tries = time.Minute, time.Millisecond, 4
	return c
}

func TestFetch(t *testing.T) {
	file, other := content(1), content(2)
	const a, b, shortly = `"a"`, `"b"`, 300 * time.Millisecond
	without := func(w http.ResponseWriter, r *http.Request) { // neither length, ranges nor ETag
		w.(http.Flusher).Flush()
		_, _ = w.Write(file)
	}
	for name, c := range map[string]struct {
		answers []http.HandlerFunc
		ranges  []string // that were asked for; nil where it depends on time
		stall   time.Duration
		want    string // of the error; "" if the file must come
	}{
		"at once":                  {answers: []http.HandlerFunc{whole(file, a)}, ranges: []string{""}},
		"no length":                {answers: []http.HandlerFunc{without}, ranges: []string{""}},
		"truncated":                {answers: []http.HandlerFunc{cut(whole(file, a), 300_000), whole(file, a)}, ranges: []string{"", "bytes=300000-"}},
		"truncated twice":          {answers: []http.HandlerFunc{cut(whole(file, a), 300_000), cut(whole(file, a), 200_000), whole(file, a)}, ranges: []string{"", "bytes=300000-", "bytes=500000-"}},
		"truncated for ever":       {answers: []http.HandlerFunc{cut(whole(file, a), 10)}, ranges: []string{"", "bytes=10-", "bytes=20-", "bytes=30-"}, want: "cut after 40 of 700001 bytes"},
		"stalls":                   {answers: []http.HandlerFunc{stall(whole(file, a), 100_000), whole(file, a)}, stall: shortly},
		"stalls before it answers": {answers: []http.HandlerFunc{func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }}, stall: shortly, want: "no byte came for 300ms"},
		"no ranges":                {answers: []http.HandlerFunc{cut(whole(file, a), 300_000), func(w http.ResponseWriter, r *http.Request) { r.Header.Del("Range"); whole(file, a)(w, r) }}, ranges: []string{"", "bytes=300000-"}},
		"no ETag":                  {answers: []http.HandlerFunc{cut(whole(file, ""), 300_000), whole(file, "")}, ranges: []string{"", ""}},
		"weak ETag":                {answers: []http.HandlerFunc{cut(whole(file, `W/"a"`), 300_000), whole(file, `W/"a"`)}, ranges: []string{"", ""}},
		"changed meanwhile":        {answers: []http.HandlerFunc{cut(whole(other, b), 300_000), whole(file, a)}, ranges: []string{"", "bytes=300000-"}},
		"changed, If-Range is not understood": {answers: []http.HandlerFunc{cut(whole(other, b), 300_000), func(w http.ResponseWriter, r *http.Request) { r.Header.Del("If-Range"); whole(file, a)(w, r) }},
			ranges: []string{"", "bytes=300000-", ""}},
		"changed under the same ETag": {answers: []http.HandlerFunc{cut(whole(other, a), 300_000), whole(file, a)}, ranges: []string{"", "bytes=300000-", ""}},
		"another range than asked for": {answers: []http.HandlerFunc{cut(whole(file, a), 300_000), func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Range", fmt.Sprintf("bytes 5-%d/%d", len(file)-1, len(file)))
			w.WriteHeader(http.StatusPartialContent)
			_, _ = w.Write(file[5:])
		}, whole(file, a)}, ranges: []string{"", "bytes=300000-", ""}},
		"the length is a lie": {answers: []http.HandlerFunc{func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("ETag", a)
			w.Header().Set("Content-Length", strconv.Itoa(len(file)+1000))
			_, _ = w.Write(file)
		}, whole(file, a)}, ranges: []string{"", "bytes=700001-"}}, // 416: that is all there is
		"shorter than it was": {answers: []http.HandlerFunc{cut(whole(append(file, other...), a), 800_000), func(w http.ResponseWriter, r *http.Request) {
			r.Header.Del("If-Range")
			whole(file, a)(w, r)
		}}, ranges: []string{"", "bytes=800000-", ""}},
		"the length is too small": {answers: []http.HandlerFunc{func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write(file[:1000])
		}}, ranges: []string{""}, want: "is not what was expected: its SHA-256 is"},
		"another file":       {answers: []http.HandlerFunc{whole(other, b)}, ranges: []string{""}, want: "its SHA-256 is " + sum(other) + ", not " + sum(file)},
		"an HTML page":       {answers: []http.HandlerFunc{status(http.StatusOK)}, ranges: []string{""}, want: "not what was expected"},
		"an empty file":      {answers: []http.HandlerFunc{whole(nil, a)}, ranges: []string{""}, want: "not what was expected"},
		"compressed":         {answers: []http.HandlerFunc{status(http.StatusOK, "Content-Encoding", "gzip")}, ranges: []string{""}, want: `sent as "gzip"`},
		"404":                {answers: []http.HandlerFunc{status(404)}, ranges: []string{""}, want: "the server answers 404 Not Found: there is no such file"},
		"401":                {answers: []http.HandlerFunc{status(401)}, ranges: []string{""}, want: "401 Unauthorized"},
		"403":                {answers: []http.HandlerFunc{status(403)}, ranges: []string{""}, want: "does not give the file to everybody"},
		"429, then all well": {answers: []http.HandlerFunc{status(429, "Retry-After", "0"), whole(file, a)}, ranges: []string{"", ""}},
		"429 for an hour":    {answers: []http.HandlerFunc{status(429, "Retry-After", "3600")}, ranges: []string{""}, want: "429 Too Many Requests; it asks to be tried again in 1h0m0s"},
		"429 for ever":       {answers: []http.HandlerFunc{status(429, "Retry-After", time.Now().UTC().Format(http.TimeFormat))}, ranges: []string{"", "", "", ""}, want: "429"},
		"500, then all well": {answers: []http.HandlerFunc{status(500), status(502), whole(file, a)}, ranges: []string{"", "", ""}},
		"500 in the middle":  {answers: []http.HandlerFunc{cut(whole(file, a), 300_000), status(503), whole(file, a)}, ranges: []string{"", "bytes=300000-", "bytes=300000-"}},
		"500 for ever":       {answers: []http.HandlerFunc{status(500)}, ranges: []string{"", "", "", ""}, want: "500 Internal Server Error"},
		"a circle":           {answers: []http.HandlerFunc{func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/again", 302) }}, want: "redirects in a circle"},
		"206 unasked":        {answers: []http.HandlerFunc{status(206, "Content-Range", "bytes 0-9/10")}, ranges: []string{""}, want: "206"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, c.answers...)
			path := filepath.Join(t.TempDir(), "file")
			fetcher := client(fetch.Hub{})
			if c.stall > 0 {
				fetcher.Stall = c.stall
			}
			got, err := fetcher.Fetch(context.Background(), fetch.Request{
				URL: s.URL + "/file", Path: path, Expected: digest.Expected{SHA256: sum(file)},
			})
			if c.want != "" {
				var failed *fetch.Error
				if !errors.As(err, &failed) || failed.URL != s.URL+"/file" || !strings.Contains(err.Error(), c.want) {
					t.Errorf("error %v, want one with %q", err, c.want)
				}
			} else {
				if err != nil || got != sum(file) {
					t.Errorf("%s, error %v", got, err)
				}
				if there, err := os.ReadFile(path); err != nil || !bytes.Equal(there, file) {
					t.Errorf("the file has %d bytes, error %v", len(there), err)
				}
				if _, err := os.Stat(path + ".etag"); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("the validator stays: %v", err)
				}
			}
			var ranges []string
			for _, r := range s.seen() {
				ranges = append(ranges, r.Header.Get("Range"))
				if (r.Header.Get("If-Range") != "") != (r.Header.Get("Range") != "") {
					t.Errorf("If-Range %q with Range %q", r.Header.Get("If-Range"), r.Header.Get("Range"))
				}
			}
			if c.ranges != nil && !slices.Equal(ranges, c.ranges) {
				t.Errorf("requests for %q, want %q", ranges, c.ranges)
			}
		})
	}
}

// A part outlives its process, and is no use to anybody else's content.
func TestAnotherProcessGoesOn(t *testing.T) {
	file := content(1)
	path := filepath.Join(t.TempDir(), "file")
	fetchFrom := func(s *site, tries int) error {
		c := client(fetch.Hub{})
		c.Tries = tries
		_, err := c.Fetch(context.Background(), fetch.Request{URL: s.URL, Path: path, Expected: digest.Expected{SHA256: sum(file)[:8]}})
		return err
	}
	if err := fetchFrom(newSite(t, cut(whole(file, `"a"`), 123_456)), 1); err == nil {
		t.Fatal("half a file is a whole one")
	}
	rest := newSite(t, whole(file, `"a"`))
	if err := fetchFrom(rest, 1); err != nil || rest.seen()[0].Header.Get("Range") != "bytes=123456-" {
		t.Errorf("%v, range %q", err, rest.seen()[0].Header.Get("Range"))
	}
	if there, err := os.ReadFile(path); err != nil || !bytes.Equal(there, file) {
		t.Errorf("%d bytes, error %v", len(there), err)
	}

	// Bytes of which nothing is known are not gone on with.
	if err := os.WriteFile(path, []byte("something"), 0o666); err != nil {
		t.Fatal(err)
	}
	again := newSite(t, whole(file, `"a"`))
	if err := fetchFrom(again, 1); err != nil || again.seen()[0].Header.Get("Range") != "" {
		t.Errorf("%v, range %q", err, again.seen()[0].Header.Get("Range"))
	}
}

func TestInterrupted(t *testing.T) {
	file := content(1)
	path := filepath.Join(t.TempDir(), "file")
	ctx, cancel := context.WithCancel(context.Background())
	s := newSite(t, stall(whole(file, `"a"`), 50_000))
	c := client(fetch.Hub{})
	c.Stall = time.Hour
	_, err := c.Fetch(ctx, fetch.Request{URL: s.URL, Path: path, Progress: func(done, _ int64) {
		if done == 50_000 {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) || len(s.seen()) != 1 {
		t.Errorf("error %v after %d requests", err, len(s.seen()))
	}
	if info, err := os.Stat(path); err != nil || info.Size() != 50_000 {
		t.Errorf("the part has %d bytes, error %v", info.Size(), err)
	}
}

func TestProgressAndRetriesAreTold(t *testing.T) {
	file := content(1)
	s := newSite(t, cut(whole(file, `"a"`), 300_000), whole(file, `"a"`))
	var done, total int64
	var told []string
	_, err := client(fetch.Hub{}).Fetch(context.Background(), fetch.Request{
		URL: s.URL, Path: filepath.Join(t.TempDir(), "file"),
		Progress: func(d, of int64) {
			if d <= done {
				t.Errorf("%d bytes after %d", d, done)
			}
			done, total = d, of
		},
		Retry: func(err error, _ time.Duration) { told = append(told, err.Error()) },
	})
	if err != nil || done != int64(len(file)) || total != done {
		t.Errorf("%d of %d bytes, error %v", done, total, err)
	}
	if len(told) != 1 || told[0] != "the connection was cut after 300000 of 700001 bytes" {
		t.Errorf("told %q", told)
	}
}

// The expected digest may be an MD5, as Keras publishes it.
func TestMD5(t *testing.T) {
	file := content(1)
	s := newSite(t, whole(file, `"a"`))
	old := md5.Sum(file)
	for expected, want := range map[string]string{hex.EncodeToString(old[:]): "", "0123": "its MD5 is"} {
		_, err := client(fetch.Hub{}).Fetch(context.Background(), fetch.Request{
			URL: s.URL, Path: filepath.Join(t.TempDir(), "file"), Expected: digest.Expected{MD5: expected},
		})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("MD5 %s: error %v", expected, err)
		}
	}
}

// TestHub plays huggingface.co: a mirror that wants a token and redirects, first within itself, then
// to where the files are.
func TestHub(t *testing.T) {
	file := content(1)
	store := newSite(t, whole(file, `"in the store"`))
	var hub *site
	linked := sum(file)
	hub = newSite(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer secret" {
			status(401)(w, r)
			return
		}
		if r.URL.Path == "/mirror/timm/old/resolve/main/model.safetensors" {
			http.Redirect(w, r, "/mirror/timm/new/resolve/main/model.safetensors", http.StatusTemporaryRedirect)
			return
		}
		w.Header().Set("X-Linked-Etag", `"`+linked+`"`)
		w.Header().Set("X-Linked-Size", strconv.Itoa(len(file)))
		http.Redirect(w, r, store.URL+"/signed?key=1", http.StatusFound)
	})
	const address = fetch.HubHome + "/timm/old/resolve/main/model.safetensors"
	get := func(token string, expected digest.Expected) (string, error) {
		return client(fetch.Hub{Endpoint: hub.URL + "/mirror/", Token: token}).Fetch(context.Background(),
			fetch.Request{URL: address, Path: filepath.Join(t.TempDir(), "file"), Expected: expected})
	}
	if got, err := get("secret", digest.Expected{}); err != nil || got != sum(file) {
		t.Errorf("%s, error %v", got, err)
	}
	if len(hub.seen()) != 2 || len(store.seen()) != 1 {
		t.Fatalf("%d and %d requests", len(hub.seen()), len(store.seen()))
	}
	// The store listens at another port of the same host, where the standard library alone would
	// send the token on.
	if got := store.seen()[0].Header.Get("Authorization"); got != "" {
		t.Errorf("the token leaks: %q", got)
	}

	if _, err := get("", digest.Expected{}); err == nil || !strings.Contains(err.Error(), "HF_TOKEN") || !strings.Contains(err.Error(), hub.URL+"/mirror/timm/old") {
		t.Errorf("no token: %v", err)
	}
	if _, err := get("wrong", digest.Expected{}); err == nil || !strings.Contains(err.Error(), "HF_TOKEN does not open it") {
		t.Errorf("wrong token: %v", err)
	}

	// What the hub tells of the file counts.
	if _, err := get("secret", digest.Expected{SHA256: strings.Repeat("0", 64)}); err == nil || !strings.Contains(err.Error(), "not what was expected") {
		t.Errorf("another file than expected: %v", err)
	}
	linked = sum(content(2))
	if _, err := get("secret", digest.Expected{}); err == nil || !strings.Contains(err.Error(), "its SHA-256 is "+sum(file)+", not "+linked) {
		t.Errorf("another file than linked: %v", err)
	}
}

// A token for the hub is no business of any other server's.
func TestOthersSeeNoToken(t *testing.T) {
	file := content(1)
	s := newSite(t, whole(file, `"a"`))
	for _, hub := range []fetch.Hub{{Token: "secret"}, {Token: "secret", Endpoint: "https://hub.invalid"}} {
		if _, err := client(hub).Fetch(context.Background(), fetch.Request{URL: s.URL, Path: filepath.Join(t.TempDir(), "file")}); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range s.seen() {
		if r.Header.Get("Authorization") != "" {
			t.Error("the token is sent to another server")
		}
	}
}

func TestNoWayBackToPlainHTTP(t *testing.T) {
	plain := newSite(t, whole(content(1), `"a"`))
	secure := httptest.NewUnstartedServer(http.RedirectHandler(plain.URL, http.StatusFound))
	secure.Config.ErrorLog = log.New(io.Discard, "", 0) // it tells of handshakes that are refused
	secure.StartTLS()
	defer secure.Close()
	c := client(fetch.Hub{})
	c.Transport = secure.Client().Transport
	_, err := c.Fetch(context.Background(), fetch.Request{URL: secure.URL, Path: filepath.Join(t.TempDir(), "file")})
	if err == nil || !strings.Contains(err.Error(), "not https") || len(plain.seen()) > 0 {
		t.Errorf("error %v, %d requests", err, len(plain.seen()))
	}
	// Nor is a server trusted that cannot show who it is.
	if _, err := client(fetch.Hub{}).Fetch(context.Background(), fetch.Request{URL: secure.URL, Path: filepath.Join(t.TempDir(), "file")}); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("unknown certificate: %v", err)
	}
}

func TestWhatCannotBeFetched(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	for name, c := range map[string]struct{ url, path, want string }{
		"no server":        {gone.URL, "file", "connection refused"},
		"no such name":     {"https://no-such-host.invalid/file", "file", "no-such-host.invalid"},
		"no web address":   {"ftp://example.org/file", "file", "no http or https address"},
		"no address":       {"://", "file", "missing protocol scheme"},
		"no folder for it": {"http://127.0.0.1:1/", "none/file", "no such file or directory"},
	} {
		_, err := client(fetch.Hub{}).Fetch(context.Background(), fetch.Request{URL: c.url, Path: filepath.Join(t.TempDir(), c.path)})
		var failed *fetch.Error
		if !errors.As(err, &failed) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
	}
	if _, err := client(fetch.Hub{Endpoint: "hub"}).Fetch(context.Background(), fetch.Request{URL: fetch.HubHome + "/a", Path: filepath.Join(t.TempDir(), "file")}); err == nil || !strings.Contains(err.Error(), "HF_ENDPOINT") {
		t.Errorf("no endpoint: %v", err)
	}
}

// A full disk ends it: trying again would not help.
func TestFullDisk(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs /dev/full")
	}
	path := filepath.Join(t.TempDir(), "file")
	if err := os.Symlink("/dev/full", path); err != nil {
		t.Fatal(err)
	}
	s := newSite(t, whole(content(1), `"a"`))
	_, err := client(fetch.Hub{}).Fetch(context.Background(), fetch.Request{URL: s.URL, Path: path})
	if err == nil || !strings.Contains(err.Error(), "no space left") || len(s.seen()) != 1 {
		t.Errorf("error %v after %d requests", err, len(s.seen()))
	}
}
