package fetch

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/tlpipe/tlpipe/internal/digest"
)

// HubHome is where the hub's files are, in addresses that do not depend on who reads them.
const HubHome = "https://huggingface.co"

// Hub is the Hugging Face hub, or a mirror of it. The zero value is the hub itself, without a token.
type Hub struct {
	Endpoint string // of a mirror, such as "https://hub.example.org"; "" for HubHome
	Token    string // sent to the endpoint alone
}

// HubFromEnvironment reads HF_ENDPOINT and HF_TOKEN.
func HubFromEnvironment() Hub {
	return Hub{Endpoint: os.Getenv("HF_ENDPOINT"), Token: strings.TrimSpace(os.Getenv("HF_TOKEN"))}
}

// locate returns where a file is to be fetched: from the mirror, if it is a file of the hub.
func (h Hub) locate(address string) (*url.URL, error) {
	if rest, ok := strings.CutPrefix(address, HubHome+"/"); ok && h.Endpoint != "" {
		endpoint, err := parse(h.Endpoint)
		if err != nil {
			return nil, fmt.Errorf("HF_ENDPOINT: %w", err)
		}
		return parse(strings.TrimSuffix(endpoint.String(), "/") + "/" + rest)
	}
	return parse(address)
}

func parse(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("%q is no http or https address", address)
	}
	return u, nil
}

// authorise sends the token with requests to the endpoint, and with no others: not with those that it
// redirects to, even within its domain.
func (h Hub) authorise(next http.RoundTripper) http.RoundTripper {
	origin, err := h.origin()
	if h.Token == "" || err != nil {
		return next
	}
	return bearer{next, origin, h.Token}
}

func (h Hub) origin() (*url.URL, error) {
	if h.Endpoint == "" {
		return parse(HubHome)
	}
	return parse(h.Endpoint)
}

// explain adds what may help where the hub refuses.
func (h Hub) explain(address *url.URL, err error) error {
	status := new(StatusError)
	if !errors.As(err, &status) || status.Code != http.StatusUnauthorized && status.Code != http.StatusForbidden {
		return err
	}
	switch origin, wrong := h.origin(); {
	case wrong != nil || !sameOrigin(address, origin):
		return err
	case h.Token == "":
		return fmt.Errorf("%w; say who you are with HF_TOKEN", err)
	}
	return fmt.Errorf("%w; HF_TOKEN does not open it", err)
}

func sameOrigin(a, b *url.URL) bool { return a.Scheme == b.Scheme && strings.EqualFold(a.Host, b.Host) }

type bearer struct {
	next   http.RoundTripper
	origin *url.URL
	token  string
}

// RoundTrip implements http.RoundTripper.
func (b bearer) RoundTrip(request *http.Request) (*http.Response, error) {
	if sameOrigin(request.URL, b.origin) {
		request = request.Clone(request.Context())
		request.Header.Set("Authorization", "Bearer "+b.token)
	}
	return b.next.RoundTrip(request)
}

// linked adds what the hub tells of a large file to what was expected: its SHA-256 and its size, -1 if
// it tells none. It stands in the redirect to the place where the file is.
func linked(response *http.Response, expected digest.Expected) (_ digest.Expected, size int64, err error) {
	size = -1
	for r := response; r != nil; r = r.Request.Response {
		sum := strings.Trim(strings.TrimPrefix(r.Header.Get("X-Linked-Etag"), "W/"), `"`)
		if !digest.IsSHA256(sum) {
			continue
		}
		if !strings.HasPrefix(sum, expected.SHA256) {
			return expected, -1, &finalError{fmt.Errorf("what is there is not what was expected: %w",
				&digest.MismatchError{Algorithm: "SHA-256", Got: sum[:len(expected.SHA256)], Want: expected.SHA256})}
		}
		expected.SHA256 = sum
		if n, err := strconv.ParseInt(r.Header.Get("X-Linked-Size"), 10, 64); err == nil && n >= 0 {
			size = n
		}
	}
	return expected, size, nil
}
