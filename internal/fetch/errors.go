package fetch

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"
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

func newStatusError(response *http.Response) *StatusError {
	e := &StatusError{Code: response.StatusCode}
	text := response.Header.Get("Retry-After")
	if seconds, err := strconv.Atoi(text); err == nil {
		e.after = time.Duration(seconds) * time.Second
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

// stallError says that nothing came for so long.
type stallError struct{ after time.Duration }

func (e *stallError) Error() string { return fmt.Sprintf("no byte came for %s", e.after) }

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
