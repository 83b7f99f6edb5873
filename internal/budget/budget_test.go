package budget_test

import (
	"bytes"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tlpipe/tlpipe/internal/budget"
)

// What was taken never exceeds the limit, and what was refused was not taken.
func TestTake(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.Int64Range(0, 1000).Draw(t, "most")
		b := budget.New(budget.Limit{Resource: budget.Memory, Most: most})
		used := int64(0)
		for _, n := range rapid.SliceOf(rapid.OneOf(rapid.Int64Range(-500, 500), rapid.Just[int64](math.MaxInt64))).Draw(t, "takes") {
			if n < 0 && used+n >= 0 {
				b.Give(budget.Memory, -n)
				used += n
				continue
			}
			err := b.Take(budget.Memory, n)
			if fits := n >= 0 && n <= most-used; fits != (err == nil) {
				t.Fatalf("%d of %d are used: taking %d gives %v", used, most, n, err)
			}
			if err == nil {
				used += n
			} else if !budget.Exceeded(err) {
				t.Fatal(err)
			}
			if b.Left(budget.Memory) != most-used {
				t.Fatalf("%d left, want %d", b.Left(budget.Memory), most-used)
			}
		}
	})
	if err := budget.New().Take(budget.Items, math.MaxInt64); err != nil {
		t.Errorf("without a limit: %v", err)
	}
	if err := (*budget.Budget)(nil).Take(budget.Items, math.MaxInt64); err != nil {
		t.Errorf("no budget: %v", err)
	}
}

func TestErrorsNameTheLimit(t *testing.T) {
	for want, limit := range map[string]budget.Limit{
		"it needs more than 256 MB of memory, which is the limit for it (raise limits.memory)": {Resource: budget.Memory, Most: 256_000_000, Raise: "raise limits.memory"},
		"it unpacks to more than 9999 bytes, which is the limit for it":                        {Resource: budget.Unpacked, Most: 9999},
		"it has more than 3 entries, which is the limit for it":                                {Resource: budget.Items, Most: 3},
		"it takes more than 7 steps, which is the limit for it":                                {Resource: budget.Steps, Most: 7},
	} {
		if err := budget.New(limit).Take(limit.Resource, limit.Most+1); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestReader(t *testing.T) {
	b := budget.New(budget.Limit{Resource: budget.Unpacked, Most: 10})
	data, err := io.ReadAll(b.Reader(budget.Unpacked, bytes.NewReader(make([]byte, 10))))
	if err != nil || len(data) != 10 {
		t.Errorf("%d bytes, %v", len(data), err)
	}
	if _, err := io.ReadAll(b.Reader(budget.Unpacked, strings.NewReader("x"))); !budget.Exceeded(err) {
		t.Errorf("the eleventh byte: %v", err)
	}
}

func TestProportional(t *testing.T) {
	for _, c := range []struct{ size, base, times, want int64 }{
		{0, 5, 2, 5}, {10, 5, 2, 25}, {math.MaxInt64, 5, 2, math.MaxInt64}, {math.MaxInt64 - 5, 5, 1, math.MaxInt64}, {-3, 5, 2, 5}, {7, 5, 0, 5},
	} {
		if got := budget.Proportional(c.size, c.base, c.times); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
}

func TestPace(t *testing.T) {
	stopped := make(chan struct{})
	var once sync.Once
	progress, end := budget.Pace{Window: time.Millisecond, Least: 10}.Watch(func() { once.Do(func() { close(stopped) }) })
	progress(9)
	<-stopped
	end()
	_, end = budget.Pace{Window: time.Hour, Least: 1}.Watch(func() { t.Error("an hour is over") })
	end()
}

func TestSparseFiles(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs a file system with holes")
	}
	path := filepath.Join(t.TempDir(), "file")
	check := func(size int64) error {
		if err := os.WriteFile(path, []byte("begin"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, size); err != nil {
			t.Skip(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return budget.CheckFile(info)
	}
	if err := check(1 << 30); err != nil {
		t.Error(err)
	}
	if err := check(5 << 40); err == nil || !strings.Contains(err.Error(), "it is 5497 GB long") {
		t.Error(err)
	}
}
