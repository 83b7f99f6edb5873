package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/tlpipe/tlpipe/internal/budget"
	"github.com/tlpipe/tlpipe/internal/digest"
)

// download is a file on its way.
type download struct {
	Request
	address *url.URL
	client  *http.Client
	part    *part
	most    int64 // bytes of the whole
	pace    budget.Pace
	budget  *budget.Budget // of all tries
	reached int64          // the largest that the part ever was
	resumed bool           // the part holds bytes of several tries
}

// try asks for what is missing, and verifies the whole.
func (d *download) try(ctx context.Context) (sum string, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	slow := &stallError{window: d.pace.Window, least: d.pace.Least}
	progress, end := d.pace.Watch(func() { cancel(slow) })
	defer end()
	defer func() {
		// What the transport says of a cancelled request hides why.
		if err != nil && errors.Is(context.Cause(ctx), slow) {
			err = slow
		}
	}()

	request, err := http.NewRequestWithContext(ctx, http.MethodGet, d.address.String(), nil)
	if err != nil {
		return "", &finalError{err}
	}
	request.Header.Set("User-Agent", "tlpipe")
	rest := d.part.size > 0 && d.part.validator != ""
	if rest {
		request.Header.Set("Range", fmt.Sprintf("bytes=%d-", d.part.size))
		request.Header.Set("If-Range", d.part.validator)
	}
	response, err := d.client.Do(request)
	if wrapped := new(url.Error); errors.As(err, &wrapped) {
		return "", wrapped.Err // the address is told by Error
	} else if err != nil {
		return "", err
	}
	defer response.Body.Close()

	expected, size, err := linked(response, d.Expected)
	if err != nil {
		return "", err
	}
	total, err := d.begin(response, rest)
	if err != nil {
		return "", err
	}
	if total < 0 {
		total = size
	}
	if total > d.most {
		return "", &finalError{&tooLargeError{total, d.most}}
	}
	if response.StatusCode != http.StatusRequestedRangeNotSatisfiable { // then all of it is here
		if err := d.receive(response.Body, total, func(n int) { slow.got += int64(n); progress(int64(n)) }); err != nil {
			return "", err
		}
	}
	end() // verifying takes as long as it takes
	return d.finish(expected, total)
}

// begin makes the part ready for what the response brings, which should be the rest of it or the whole,
// and returns the size of the whole, -1 if it is not told.
func (d *download) begin(response *http.Response, rest bool) (total int64, err error) {
	if coding := response.Header.Get("Content-Encoding"); coding != "" && coding != "identity" {
		return 0, &finalError{fmt.Errorf("it is sent as %.40q, which was not asked for", coding)}
	}
	switch {
	case response.StatusCode == http.StatusOK:
		d.resumed = false
		return response.ContentLength, d.part.restart(validator(response))
	case response.StatusCode == http.StatusPartialContent && rest:
		first, total, ok := contentRange(response.Header.Get("Content-Range"))
		if mark := response.Header.Get("ETag"); !ok || first != d.part.size || mark != "" && mark != d.part.validator {
			return 0, errors.Join(errChanged, d.part.restart(""))
		}
		d.resumed = true
		return total, nil
	case response.StatusCode == http.StatusRequestedRangeNotSatisfiable && rest:
		if _, total, ok := contentRange(response.Header.Get("Content-Range")); ok && total == d.part.size {
			return total, nil
		}
		return 0, errors.Join(errChanged, d.part.restart(""))
	}
	return 0, newStatusError(response)
}

// receive appends the body to the part.
func (d *download) receive(body io.Reader, total int64, came func(n int)) error {
	whole := d.most
	if total >= 0 {
		whole = total
	}
	buffer := make([]byte, 256<<10)
	for {
		n, err := body.Read(buffer)
		if n > 0 {
			came(n)
			if d.part.size+int64(n) > whole {
				if total >= 0 {
					return errors.Join(fmt.Errorf("more came than the %d bytes that the server tells of", total), d.part.restart(""))
				}
				return &finalError{errors.Join(&tooLargeError{-1, d.most}, d.part.restart(""))}
			}
			if err := d.budget.Take(budget.Unpacked, int64(n)); err != nil {
				return &finalError{errors.Join(errors.New("it was sent again and again from the start, and never whole"), d.part.restart(""))}
			}
			if err := d.part.write(buffer[:n]); err != nil {
				return err
			}
			d.reached = max(d.reached, d.part.size)
			if d.Progress != nil {
				d.Progress(d.part.size, total)
			}
		}
		switch {
		case err == io.EOF:
			return nil
		case errors.Is(err, io.ErrUnexpectedEOF):
			return &truncatedError{d.part.size, total}
		case err != nil:
			return err
		}
	}
}

// finish verifies what is there.
func (d *download) finish(expected digest.Expected, total int64) (sum string, err error) {
	if total >= 0 && d.part.size < total {
		return "", &truncatedError{d.part.size, total}
	}
	if total >= 0 && d.part.size > total {
		return "", errors.Join(fmt.Errorf("%d bytes came, of %d", d.part.size, total), d.part.restart(""))
	}
	if err := d.part.sync(); err != nil {
		return "", err
	}
	sum, err = expected.CheckFile(d.Path)
	mismatch := new(digest.MismatchError)
	switch {
	case err == nil:
		return sum, d.part.complete()
	case !errors.As(err, &mismatch):
		return "", &finalError{err}
	}
	err = fmt.Errorf("what came is not what was expected: %w", mismatch)
	if !d.resumed { // pieces that do not belong together are worth a fresh start
		err = &finalError{err}
	}
	return "", errors.Join(err, d.part.restart(""))
}

// validator returns the response's strong ETag, or "".
func validator(response *http.Response) string {
	if mark := response.Header.Get("ETag"); strings.HasPrefix(mark, `"`) {
		return mark
	}
	return ""
}

// contentRange reads a Content-Range such as "bytes 100-199/200", "bytes 100-199/*" (total -1) or
// "bytes */200" (first -1).
func contentRange(text string) (first, total int64, ok bool) {
	span, size, ok := strings.Cut(strings.TrimPrefix(text, "bytes "), "/")
	if !ok || !strings.HasPrefix(text, "bytes ") {
		return 0, 0, false
	}
	first, total = -1, -1
	var err error
	if size != "*" {
		if total, err = strconv.ParseInt(size, 10, 64); err != nil || total < 0 {
			return 0, 0, false
		}
	}
	if span != "*" {
		begin, _, _ := strings.Cut(span, "-")
		if first, err = strconv.ParseInt(begin, 10, 64); err != nil || first < 0 {
			return 0, 0, false
		}
	}
	return first, total, true
}
