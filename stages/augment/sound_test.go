package augment

import (
	"image"
	"math"
	"testing"
)

// spectrogram is 40 wide and 20 high, with one level in each column.
func spectrogram(of func(x, y int) uint8) *image.NRGBA {
	img := image.NewNRGBA(image.Rect(0, 0, 40, 20))
	for i := range 800 {
		v := of(i%40, i/40)
		copy(img.Pix[4*i:], []byte{v, v, v, 255})
	}
	return img
}

func TestSoundShiftAndGain(t *testing.T) {
	src := spectrogram(func(x, _ int) uint8 { return uint8(100 + x) })
	shifts, gains := map[int]bool{}, map[int]bool{}
	for copy := range 50 {
		moved := Sound{Shift: 0.25}.vary(src, newDraw(1, "a", copy), 80)
		late := -1
		for x := range 40 {
			if v := moved.Pix[4*x]; v > 0 {
				late = x - (int(v) - 100)
				break
			}
		}
		for x := range 40 {
			want := uint8(0)
			if from := x - late; from >= 0 && from < 40 {
				want = uint8(100 + from)
			}
			if moved.Pix[4*x] != want {
				t.Fatalf("copy %d, late by %d: column %d is %d, want %d", copy, late, x, moved.Pix[4*x], want)
			}
		}
		shifts[late] = true
		louder := Sound{Gain: 10}.vary(src, newDraw(1, "a", copy), 85) // 3 levels a decibel
		gain := int(louder.Pix[0]) - 100
		if gain < -30 || gain > 30 || int(louder.Pix[4*39])-139 != gain {
			t.Fatalf("gain of %d levels", gain)
		}
		gains[gain] = true
	}
	if len(shifts) < 10 || !shifts[-9] && !shifts[-10] && !shifts[-8] || len(gains) < 20 {
		t.Errorf("shifts %v, gains %v", shifts, gains)
	}
}

// Noise raises silence to about its level, and what is much louder not at all.
func TestSoundNoise(t *testing.T) {
	src := spectrogram(func(x, _ int) uint8 { return uint8(x / 20 * 255) })
	noisy := Sound{Noise: 30}.vary(src, newDraw(1, "a", 1), 85)
	mean, loud := 0.0, uint8(255)
	for i := range 800 {
		if i%40 < 20 {
			mean += math.Pow(10, (float64(noisy.Pix[4*i])/255-1)*85/10) / 400
		} else {
			loud = min(loud, noisy.Pix[4*i])
		}
	}
	if level := 10 * math.Log10(mean); level > -29 || level < -51 || loud != 255 {
		t.Errorf("noise of %.1f dB, the loudest level is %d", level, loud)
	}
}

func TestSoundMasks(t *testing.T) {
	src := spectrogram(func(int, int) uint8 { return 200 })
	columns, rows := 0, 0
	for copy := range 100 {
		masked := Sound{TimeMasks: 1, TimeMask: 0.2, FrequencyMasks: 1, FrequencyMask: 0.2}.vary(src, newDraw(1, "a", copy), 80)
		dark, low := 0, 0
		for x := range 40 {
			silent := true
			for y := range 20 {
				silent = silent && masked.Pix[4*(y*40+x)] == 0
			}
			if silent {
				dark++
			}
		}
		for y := range 20 {
			silent := true
			for x := range 40 {
				silent = silent && masked.Pix[4*(y*40+x)] == 0
			}
			if silent {
				low++
			}
		}
		if dark > 8 || low > 4 {
			t.Fatalf("%d columns and %d rows are silent", dark, low)
		}
		columns, rows = max(columns, dark), max(rows, low)
	}
	if columns != 8 || rows != 4 {
		t.Errorf("at most %d columns and %d rows are silenced, want 8 and 4", columns, rows)
	}
}
