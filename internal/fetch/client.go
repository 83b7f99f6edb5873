package fetch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/cenkalti/backoff/v7"

	"github.com/tlpipe/tlpipe/internal/budget"
	"github.com/tlpipe/tlpipe/internal/digest"
	"github.com/tlpipe/tlpipe/internal/secret"
)

// Client fetches files. [New] makes one with useful values.
type Client struct {
	Transport http.RoundTripper
	Hub       Hub

	Limits                 // where a request names none of its own
	Tries    int           // in a row that brought nothing of worth
	Wait     time.Duration // before the second try; it grows from there
	MaxDelay time.Duration // the longest that a server may ask to wait (Retry-After)
}

// New returns a client that waits and tries as people would, with the environment's proxies.
func New(hub Hub) *Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DisableCompression = true // the bytes are what was expected, and what Range counts
	transport.MaxResponseHeaderBytes = 1 << 20
	return &Client{
		Transport: transport, Hub: hub,
		Limits: Limits{Most: 16e9, Rate: 1000, Stall: 30 * time.Second}, Tries: 5, Wait: time.Second, MaxDelay: 2 * time.Minute,
	}
}

// Limits are what one file may cost. Where one is 0 the client's holds.
type Limits struct {
	Most  int64         // the largest that the file may be, in bytes
	Rate  int64         // bytes a second that must come, on average over Stall
	Stall time.Duration // a try ends when too little has come for so long
}

// or fills in what is 0.
func (l Limits) or(c *Client) Limits {
	return Limits{cmp.Or(max(l.Most, 0), c.Most), cmp.Or(max(l.Rate, 0), c.Rate), cmp.Or(max(l.Stall, 0), c.Stall)}
}

// Request says what to fetch, and to where.
type Request struct {
	URL      string          // http or https
	Path     string          // the part's; what is there already is gone on with
	Expected digest.Expected // of the whole content
	Limits

	// Progress is told how many bytes are there, of how many: -1 if the server does not say. Retry is
	// told why a try failed and how long it is until the next. Both may be nil.
	Progress func(done, total int64)
	Retry    func(why error, wait time.Duration)
}

// worthwhile is how many bytes more than ever before a try must bring for the count of failures to start over: fewer
// would let a server that sends a little and stalls, or the same again and again, keep us for ever.
const worthwhile = 1 << 20

// Of all that may come in all tries together, as a multiple of the largest that the file may be: starts from the
// beginning count, too.
const allTries = 3

// Fetch makes the file at r.Path whole, verified and durable, and returns its SHA-256. Whatever goes
// wrong is an *[Error]; what has come so far stays for the next time, unless it is not what was
// expected. Only one Fetch may work on a path at a time.
func (c *Client) Fetch(ctx context.Context, r Request) (sum string, err error) {
	address, err := c.Hub.locate(r.URL)
	if err != nil {
		return "", &Error{URL: secret.Address(r.URL), Err: secret.Error(err)}
	}
	defer func() {
		if err != nil && ctx.Err() == nil {
			err = &Error{URL: secret.Address(address.String()), Err: secret.Error(err)}
		}
	}()
	part, err := openPart(r.Path)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, part.close()) }()
	limits := r.Limits.or(c)
	d := &download{
		Request: r, address: address, part: part, most: limits.Most,
		pace:   budget.Pace{Window: limits.Stall, Least: int64(float64(limits.Rate) * limits.Stall.Seconds())},
		budget: budget.New(budget.Limit{Resource: budget.Unpacked, Most: budget.Proportional(limits.Most, worthwhile, allTries)}),
		client: &http.Client{Transport: c.Hub.authorise(c.Transport), CheckRedirect: checkRedirect},
	}

	waits := backoff.NewExponentialBackOff()
	waits.InitialInterval, waits.Multiplier, waits.MaxInterval = c.Wait, 2, 30*c.Wait
	failures, best := 0, part.size
	sum, err = backoff.Retry(ctx, func() (string, error) {
		sum, err := d.try(ctx)
		if err == nil {
			return sum, nil
		}
		if d.reached-best >= worthwhile {
			failures, best = 0, d.reached
			waits.Reset()
		}
		failures++
		delay := retryAfter(err)
		switch {
		case failures >= c.Tries || !worthATry(err):
			return "", backoff.Permanent(err)
		case delay > c.MaxDelay:
			return "", backoff.Permanent(fmt.Errorf("%w; it asks to be tried again in %s", err, delay))
		case delay > 0:
			return "", backoff.RetryAfter(delay, err)
		}
		return "", err
	}, backoff.WithBackOff(waits), backoff.WithMaxElapsedTime(0), backoff.WithNotify(func(err error, wait time.Duration) {
		if asked := new(backoff.RetryAfterError); errors.As(err, &asked) {
			err = asked.Unwrap()
		}
		if r.Retry != nil {
			r.Retry(secret.Error(err), wait)
		}
	}))
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if stopped := backoff.AsRetryError(err); stopped != nil {
		err = c.Hub.explain(address, stopped.LastErr)
	}
	return sum, err
}

// checkRedirect follows ten redirects, and none from https to something that others can read.
func checkRedirect(next *http.Request, before []*http.Request) error {
	if len(before) > 10 {
		return &finalError{errors.New("it redirects in a circle")}
	}
	if next.URL.Scheme != "https" && next.URL.Scheme != "http" {
		return &finalError{fmt.Errorf("it redirects to %q, which is no http or https address", next.URL.Scheme+":…")}
	}
	if before[0].URL.Scheme == "https" && next.URL.Scheme != "https" {
		return &finalError{fmt.Errorf("it redirects to %s, which is not https", secret.Address(next.URL.String()))}
	}
	return nil
}
