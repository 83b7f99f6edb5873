package fetch

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/tlpipe/tlpipe/internal/budget"
)

// Error says that a file could not be fetched.
type Error struct {
	URL string // where it was looked for, without passwords
	Err error
}

func (e *Error) Error() string { return "fetch " + e.URL + ": " + e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// finalError is one that another try would not mend.
type finalError struct{ err error }

func (e *finalError) Error() string { return e.err.Error() }
func (e *finalError) Unwrap() error { return e.err }

// StatusError says that the server answered, but not with the file.
type StatusError struct {
	Code  int // of HTTP
	after time.Duration
}

// longest is more than anybody waits.
const longest = 1000 * 24 * time.Hour

func newStatusError(response *http.Response) *StatusError {
	e := &StatusError{Code: response.StatusCode}
	text := response.Header.Get("Retry-After")
	if seconds, err := strconv.ParseInt(text, 10, 64); err == nil {
		e.after = time.Duration(max(0, min(seconds, int64(longest/time.Second)))) * time.Second
	} else if date, err := http.ParseTime(text); err == nil {
		e.after = time.Until(date)
	}
	return e
}

func (e *StatusError) Error() string {
	text := fmt.Sprintf("the server answers %d %s", e.Code, http.StatusText(e.Code))
	switch e.Code {
	case http.StatusNotFound, http.StatusGone:
		text += ": there is no such file"
	case http.StatusUnauthorized, http.StatusForbidden:
		text += ": it does not give the file to everybody"
	}
	return text
}

// errChanged says that the rest of the content that the part is of is not to be had.
var errChanged = errors.New("the file was changed on the server since its first part was fetched: it starts over")

// stallError says that too little came for so long.
type stallError struct {
	window time.Duration
	least  int64 // bytes that must come in a window
	got    int64 // bytes that came in the whole try
}

func (e *stallError) Error() string {
	if e.got == 0 {
		return fmt.Sprintf("no byte came for %s", e.window)
	}
	return fmt.Sprintf("fewer than %d bytes came in %s", max(e.least, 1), e.window)
}

// tooLargeError says that the file is larger than any that is meant.
type tooLargeError struct{ size, most int64 } // size -1: without end

func (e *tooLargeError) Error() string {
	if e.size < 0 {
		return fmt.Sprintf("the server tells no size and sends more than the limit of %s", budget.Bytes(e.most))
	}
	return fmt.Sprintf("it has %s, the limit is %s", budget.Bytes(e.size), budget.Bytes(e.most))
}

// LimitError tells whether an error is about what a file may cost: its size, or the pace at which it comes.
func LimitError(err error) bool {
	return errors.As(err, new(*stallError)) || errors.As(err, new(*tooLargeError)) || budget.Exceeded(err)
}

// truncatedError says that the content ended early.
type truncatedError struct{ got, total int64 }

func (e *truncatedError) Error() string {
	if e.total < 0 {
		return fmt.Sprintf("the connection was cut after %d bytes", e.got)
	}
	return fmt.Sprintf("the connection was cut after %d of %d bytes", e.got, e.total)
}

// worthATry tells whether an error may be gone the next time.
func worthATry(err error) bool {
	var (
		final       *finalError
		status      *StatusError
		name        *net.DNSError
		certificate *tls.CertificateVerificationError
	)
	switch {
	case errors.As(err, &final), errors.As(err, &certificate):
		return false
	case errors.As(err, &name):
		return !name.IsNotFound
	case errors.As(err, &status):
		switch status.Code {
		case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
			return true
		}
		return status.Code >= 500
	}
	return true
}

// retryAfter returns how long the server asks to wait, 0 if it does not.
func retryAfter(err error) time.Duration {
	if status := new(StatusError); errors.As(err, &status) && worthATry(status) {
		return max(status.after, 0)
	}
	return 0
}
