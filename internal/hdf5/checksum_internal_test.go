package hdf5

import "testing"

// The numbers are those of lookup3.c's own test, for hashlittle begun with 0.
func TestChecksum(t *testing.T) {
	for text, want := range map[string]uint32{"": 0xdeadbeef, "Four score and seven years ago": 0x17770551} {
		if got := checksum([]byte(text)); got != want {
			t.Errorf("checksum of %q is %#x, want %#x", text, got, want)
		}
	}
}
