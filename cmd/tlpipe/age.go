package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ageFlag is a duration that may be given in days: 30d, 12h, 90m.
type ageFlag time.Duration

// Set implements pflag.Value.
func (f *ageFlag) Set(text string) error {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseFloat(days, 64)
		if err != nil || !(n >= 0 && n < 100_000) {
			return fmt.Errorf("%q is not an age such as 12h or 30d", text)
		}
		*f = ageFlag(n * float64(24*time.Hour))
		return nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return fmt.Errorf("%q is not an age such as 12h or 30d", text)
	}
	*f = ageFlag(d)
	return nil
}

// String implements pflag.Value.
func (f *ageFlag) String() string {
	if *f == 0 {
		return ""
	}
	return time.Duration(*f).String()
}

// Type implements pflag.Value.
func (f *ageFlag) Type() string { return "age" }
