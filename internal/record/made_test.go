package record

import "testing"

func TestMadeDifferently(t *testing.T) {
	given := Preprocessing{Height: 32, Width: 32, Resize: ResizeSquash, Channels: "rgb"}.Encode()
	want := Preprocessing{Height: 64, Width: 32, Resize: ResizeSquash, Channels: "rgb", For: "resnet18"}.Encode()
	if got := MadeDifferently(given, want); got != "for not set, not resnet18; height 32, not 64" {
		t.Errorf("told %q", got)
	}
	if got := MadeDifferently("x", "{}"); got != "x, not {}" {
		t.Errorf("told %q", got)
	}
}
