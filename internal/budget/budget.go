package budget

import (
	"errors"
	"fmt"
	"io"
	"math"
	"sync/atomic"
)

// Resource is what reading uses up.
type Resource int

// Resources.
const (
	Memory   Resource = iota // bytes held at once
	Unpacked                 // bytes that come out of unpacking, or that are copied
	Items                    // rows, tensors, values of YAML
	Steps                    // pieces of work that are done again and again, such as passes over a picture

	resources = iota
)

// Limit is how much of a resource may be used.
type Limit struct {
	Resource Resource
	Most     int64
	Raise    string // how people raise it, such as "raise limits.memory of the source"; "" where nobody should
}

// Budget is what reading one input may use. It may be used from several goroutines. A nil *Budget has no limits.
type Budget struct {
	limits [resources]Limit
	used   [resources]atomic.Int64
}

// New makes a budget; a resource without a limit is free.
func New(limits ...Limit) *Budget {
	b := &Budget{}
	for r := range b.limits {
		b.limits[r] = Limit{Resource: Resource(r), Most: math.MaxInt64}
	}
	for _, l := range limits {
		b.limits[l.Resource] = l
	}
	return b
}

// Proportional returns base + times·size, without overflow: what an input of size bytes may be worth.
func Proportional(size, base, times int64) int64 {
	if size > (math.MaxInt64-base)/max(times, 1) {
		return math.MaxInt64
	}
	return base + times*max(size, 0)
}

// Take uses n of a resource, or says that it is too much; then nothing is used.
func (b *Budget) Take(r Resource, n int64) error {
	if b == nil {
		return nil
	}
	for {
		used := b.used[r].Load()
		if n < 0 || n > b.limits[r].Most-used {
			return &ExceededError{b.limits[r]}
		}
		if b.used[r].CompareAndSwap(used, used+n) {
			return nil
		}
	}
}

// Give gives back what was taken: memory that is free again.
func (b *Budget) Give(r Resource, n int64) {
	if b != nil {
		b.used[r].Add(-n)
	}
}

// Left is how much of a resource may still be used.
func (b *Budget) Left(r Resource) int64 {
	if b == nil {
		return math.MaxInt64
	}
	return b.limits[r].Most - b.used[r].Load()
}

// Reader takes from a resource what is read, and ends with an [ExceededError] when that is too much.
func (b *Budget) Reader(r Resource, in io.Reader) io.Reader { return &reader{b, r, in} }

type reader struct {
	budget   *Budget
	resource Resource
	in       io.Reader
}

func (r *reader) Read(p []byte) (int, error) {
	n, err := r.in.Read(p)
	if over := r.budget.Take(r.resource, int64(n)); over != nil {
		return 0, over
	}
	return n, err
}

// ExceededError says that an input is worth more than it may be.
type ExceededError struct{ Limit Limit }

func (e *ExceededError) Error() string {
	var text string
	switch e.Limit.Resource {
	case Memory:
		text = "it needs more than " + Bytes(e.Limit.Most) + " of memory"
	case Unpacked:
		text = "it unpacks to more than " + Bytes(e.Limit.Most)
	case Items:
		text = fmt.Sprintf("it has more than %d entries", e.Limit.Most)
	default:
		text = fmt.Sprintf("it takes more than %d steps", e.Limit.Most)
	}
	text += ", which is the limit for it"
	if e.Limit.Raise != "" {
		text += " (" + e.Limit.Raise + ")"
	}
	return text
}

// Exceeded tells whether an error is about a budget.
func Exceeded(err error) bool { return errors.As(err, new(*ExceededError)) }

// Bytes writes a size with a decimal unit, rounded down so that it is below the limit that it tells.
func Bytes(n int64) string {
	unit, units := int64(1), []string{" bytes", " kB", " MB", " GB", " TB", " PB", " EB"}
	i := 0
	for ; n/unit >= 10_000 && i < len(units)-1; i++ {
		unit *= 1000
	}
	return fmt.Sprint(n/unit) + units[i]
}
