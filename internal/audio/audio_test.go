package audio_test

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/internal/audio"
)

// reference is what testdata/sounds.py writes.
type reference struct {
	Rate      int                  `json:"rate"`
	Clip      []float32            `json:"clip"`
	Files     map[string][]float32 `json:"files"`
	Resampled map[string][]float32 `json:"resampled"`
	Spectra   []struct {
		Window, Hop, FFT, Mels int
		Low, High              float64
		Torchaudio, Librosa    struct{ Mel, Decibels, MFCC []float32 }
	} `json:"spectra"`
}

func readReference(t *testing.T) reference {
	t.Helper()
	text, err := os.ReadFile("testdata/sounds.json")
	if err != nil {
		t.Fatal(err)
	}
	var r reference
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// near compares with a tolerance that is a share of the largest wanted value.
func near(t *testing.T, name string, got, want []float32, tolerance float64) {
	t.Helper()
	if len(got) != len(want) || len(want) == 0 {
		t.Fatalf("%s: %d values, want %d", name, len(got), len(want))
	}
	largest, worst := 0.0, 0.0
	for i := range want {
		largest = max(largest, math.Abs(float64(want[i])))
		worst = max(worst, math.Abs(float64(got[i])-float64(want[i])))
	}
	if !(worst <= tolerance*largest) {
		t.Errorf("%s: off by up to %g of %g", name, worst, largest)
	}
}

func TestDecode(t *testing.T) {
	r := readReference(t)
	for name, want := range r.Files {
		file, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		clip, err := audio.Decode(file, 1)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if clip.Rate != r.Rate {
			t.Errorf("%s: rate %d", name, clip.Rate)
		}
		near(t, name, clip.Samples, want, 1e-6)
		if _, err := audio.Decode(file, 0.01); err == nil || !strings.Contains(err.Error(), "longer than") {
			t.Errorf("%s: too long, but: %v", name, err)
		}
		if _, err := audio.Decode(file[:len(file)-200], 1); err == nil {
			t.Errorf("%s: cut off, but read", name)
		}
	}
}

// An MP3, which says twice the rate, is not the same samples: it is late by what encoder and decoder add, and loses some.
func TestDecodeMP3(t *testing.T) {
	r := readReference(t)
	file, err := os.ReadFile("testdata/tone.mp3")
	if err != nil {
		t.Fatal(err)
	}
	clip, err := audio.Decode(file, 10)
	if err != nil {
		t.Fatal(err)
	}
	best := 0.0
	for late := range 3000 {
		var product, own, other float64
		for i := range min(2000, len(clip.Samples)-late) {
			a, b := float64(r.Clip[i]), float64(clip.Samples[late+i])
			product, own, other = product+a*b, own+a*a, other+b*b
		}
		best = max(best, product/math.Sqrt(own*other+1e-9))
	}
	if clip.Rate != 2*r.Rate || best < 0.98 {
		t.Errorf("rate %d, correlation with the clip %.3f", clip.Rate, best)
	}
}

func TestDecodeRefuses(t *testing.T) {
	ogg, err := os.ReadFile("testdata/vorbis.ogg")
	if err != nil {
		t.Fatal(err)
	}
	for want, file := range map[string]string{
		"no sound file":           "hello",
		"Ogg Vorbis cannot be":    string(ogg),
		"AIFF cannot be read":     "FORM\x00\x00\x00\x00AIFF",
		"no samples":              "RIFF\x00\x00\x00\x00WAVE",
		"cut off in its part":     "RIFF\x00\x00\x00\x00WAVEfmt \x20\x00\x00\x00",
		"stand before":            "RIFF\x00\x00\x00\x00WAVEdata\x00\x00\x00\x00",
		"format 85 and 0 bits":    "RIFF\x00\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x55\x00\x01\x00\x40\x1f\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
		"the recording is empty":  "RIFF\x00\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x00\x00\x00\x00\x02\x00\x10\x00data\x00\x00\x00\x00",
		"0 samples a second":      "RIFF\x00\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x10\x00data\x02\x00\x00\x00ab",
		"samples are not finite":  "RIFF\x00\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x03\x00\x01\x00\x40\x1f\x00\x00\x00\x00\x00\x00\x04\x00\x20\x00data\x04\x00\x00\x00\x00\x00\xc0\x7f",
		"cut off: it has 2 of 16": "RIFF\x00\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x00\x00\x00\x00\x02\x00\x10\x00data\x10\x00\x00\x00ab",
	} {
		if _, err := audio.Decode([]byte(file), 60); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

func TestResample(t *testing.T) {
	r := readReference(t)
	for to, want := range r.Resampled {
		rate, err := strconv.Atoi(to)
		if err != nil {
			t.Fatal(err)
		}
		got := audio.Resample(audio.Clip{Rate: r.Rate, Samples: r.Clip}, rate)
		if length := (len(r.Clip)*rate + r.Rate - 1) / r.Rate; len(got.Samples) != length {
			t.Errorf("to %d: %d samples, want %d", rate, len(got.Samples), length)
		}
		near(t, "resampled to "+to, got.Samples[:len(want)], want, 1e-4) // theirs has filters of float32
	}
	if same := audio.Resample(audio.Clip{Rate: 10, Samples: r.Clip}, 10); &same.Samples[0] != &r.Clip[0] {
		t.Error("the same rate copies")
	}
}

func TestSpectra(t *testing.T) {
	r := readReference(t)
	for _, c := range r.Spectra {
		for _, librosa := range []bool{false, true} {
			name, want := "torchaudio", c.Torchaudio
			if librosa {
				name, want = "librosa", c.Librosa
			}
			a, err := audio.NewAnalyser(audio.Spectrum{
				Rate: r.Rate, Window: c.Window, Hop: c.Hop, FFT: c.FFT, Mels: c.Mels, Low: c.Low, High: c.High, Slaney: librosa, Zeros: librosa,
			})
			if err != nil {
				t.Fatal(err)
			}
			mel, err := a.Mel(r.Clip)
			if err != nil {
				t.Fatal(err)
			}
			near(t, name+" mel", mel, want.Mel, 1e-5)
			audio.Decibels(mel, 80)
			near(t, name+" decibels", mel, want.Decibels, 2e-5)
			near(t, name+" cepstrum", audio.Cepstrum(mel, c.Mels, 12), want.MFCC, 2e-5)
		}
	}
}

func TestAnalyserRefuses(t *testing.T) {
	good := audio.Spectrum{Rate: 8000, Window: 200, Hop: 80, FFT: 256, Mels: 20, High: 4000}
	for want, change := range map[string]func(*audio.Spectrum){
		"rate of 0":              func(s *audio.Spectrum) { s.Rate = 0 },
		"transform of 8":         func(s *audio.Spectrum) { s.FFT = 8 },
		"window of 300":          func(s *audio.Spectrum) { s.Window = 300 },
		"hop of no":              func(s *audio.Spectrum) { s.Hop = 0 },
		"0 mel bands":            func(s *audio.Spectrum) { s.Mels = 0 },
		"bands from":             func(s *audio.Spectrum) { s.High = 4001 },
		"holds no frequency of ": func(s *audio.Spectrum) { s.Mels = 128 },
	} {
		s := good
		change(&s)
		if _, err := audio.NewAnalyser(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
	a, err := audio.NewAnalyser(good)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Mel(make([]float32, 128)); err == nil {
		t.Error("a clip too short to be mirrored is taken")
	}
}

func FuzzDecode(f *testing.F) {
	names, err := filepath.Glob("testdata/*.*")
	if err != nil || len(names) == 0 {
		f.Fatal(names, err)
	}
	for _, name := range names {
		if file, err := os.ReadFile(name); err == nil && audio.NamedAsSound(name) {
			f.Add(file)
		}
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		clip, err := audio.Decode(file, 30)
		if err == nil && (clip.Rate < 1 || len(clip.Samples) == 0 || clip.Seconds() > 30) {
			t.Errorf("%d samples at %d", len(clip.Samples), clip.Rate)
		}
	})
}

func BenchmarkMel(b *testing.B) {
	a, err := audio.NewAnalyser(audio.Spectrum{Rate: 16000, Window: 400, Hop: 160, FFT: 400, Mels: 64, High: 8000})
	if err != nil {
		b.Fatal(err)
	}
	samples := make([]float32, 160000)
	for i := range samples {
		samples[i] = float32(math.Sin(float64(i) * float64(i) / 1e5))
	}
	for b.Loop() {
		mel, err := a.Mel(samples)
		if err != nil {
			b.Fatal(err)
		}
		audio.Decibels(mel, 80)
	}
}
