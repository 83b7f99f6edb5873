package backbone

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/frozen"
	"github.com/tlpipe/tlpipe/internal/safetensors"
	"github.com/tlpipe/tlpipe/internal/stored"
)

// heavy tells whether tests may take minutes.
func heavy() bool { return os.Getenv("TLPIPE_HEAVY") != "" }

// TestNetworksAgreeWithTorchvision holds the last map, the pooled features and the logits against
// what testdata/make_torchvision.py stored, with weights of the formula that it states.
func TestNetworksAgreeWithTorchvision(t *testing.T) {
	quick := []string{"resnet18/97x130", "mobilenet_v2/97x130", "densenet121/97x130", "efficientnet_b0/97x130", "inception_v3/107x140"}
	for _, name := range []string{
		"resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "mobilenet_v2",
		"vgg16", "vgg19", "densenet121", "efficientnet_b0", "inception_v3",
	} {
		cases := []string{"224x224", "97x130"}
		if name == "inception_v3" {
			cases = []string{"299x299", "107x140"}
		}
		for _, size := range cases {
			t.Run(name+"/"+size, func(t *testing.T) {
				if !heavy() && !slices.Contains(quick, name+"/"+size) {
					t.Skip("needs TLPIPE_HEAVY=1")
				}
				agrees(t, name, "torchvision", size)
			})
		}
	}
}

// TestNetworksAgreeWithKeras does the same with testdata/make_keras.py.
func TestNetworksAgreeWithKeras(t *testing.T) {
	for _, name := range []string{
		"nasnet_mobile/97x130", "nasnet_mobile/224x224", "inception_resnet_v2/299x299", "inception_resnet_v2/107x140",
	} {
		t.Run(name, func(t *testing.T) {
			if !heavy() && name != "nasnet_mobile/97x130" {
				t.Skip("needs TLPIPE_HEAVY=1")
			}
			network, size, _ := strings.Cut(name, "/")
			agrees(t, network, "keras", size)
		})
	}
}

// Every kernel path gives the same to within the same tolerance.
func TestKernelPathsAgreeWithReferences(t *testing.T) {
	if !heavy() {
		t.Skip("needs TLPIPE_HEAVY=1")
	}
	for _, path := range []string{"avx2", "portable"} {
		t.Run(path, func(t *testing.T) {
			run := exec.Command(os.Args[0], "-test.run=^TestNetworksAgreeWith")
			run.Env = append(os.Environ(), kernel.EnvironmentVariable+"="+path, "TLPIPE_HEAVY=")
			if out, err := run.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// agrees holds a backbone with weights of the formula, by the names of a framework, against the case
// of that size in its file.
func agrees(t *testing.T, name, framework, size string) {
	fixture, err := safetensors.Open(filepath.Join("testdata", name+".safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer fixture.Close()
	reference := func(what string) []float32 {
		_, data, err := fixture.Float32(size + "/" + what)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	gain, err := strconv.ParseFloat(fixture.Metadata()["gain"], 64)
	if err != nil {
		t.Fatal(err)
	}
	b, err := Find(name)
	if err != nil {
		t.Fatal(err)
	}
	var height, width int
	if _, err := fmt.Sscanf(size, "%dx%d", &height, &width); err != nil {
		t.Fatal(err)
	}
	net, err := b.Network(height, width)
	if err != nil {
		t.Fatal(err)
	}
	layers := []string{b.LastMap, b.Pooled}
	if net.Shape(b.Logits) != nil {
		layers = append(layers, b.Logits)
	}
	if net, err = net.Cut(layers...); err != nil {
		t.Fatal(err)
	}
	if b, err = b.As(framework); err != nil {
		t.Fatal(err)
	}
	namings := b.variants[b.chosen].namings
	names := namings[slices.IndexFunc(namings, func(n naming) bool { return n.title == framework })]
	if got, want := tensorsOf(t, b, names), fixture.Metadata()["tensors"]; got != want {
		t.Errorf("names and shapes of the tensors have digest %s, want %s", got, want)
	}
	program, err := frozen.Compile(net, filled(t, b, net, names, gain), layers...)
	if err != nil {
		t.Fatal(err)
	}

	const n = 2
	out := make([][]float32, len(layers))
	for i := range out {
		out[i] = make([]float32, n*program.OutputShape(i).Size())
	}
	pool := kernel.NewPool(2)
	defer pool.Close()
	if err := program.NewSession(n).Run(pool, picture(n, height, width), n, out...); err != nil {
		t.Fatal(err)
	}
	last := program.OutputShape(0)
	var corner []float32
	var moments []float32
	for i := range n {
		for _, y := range []int{last[0] - 2, last[0] - 1} {
			for _, x := range []int{last[1] - 2, last[1] - 1} {
				corner = append(corner, out[0][((i*last[0]+y)*last[1]+x)*last[2]:][:32]...)
			}
		}
		for j := range layers {
			moments = append(moments, meanAndDeviation(out[j][i*len(out[j])/n:][:len(out[j])/n])...)
		}
	}
	agree(t, "last", corner, reference("last"))
	agree(t, "pooled", out[1], reference("pooled"))
	want := reference("moments")
	if len(layers) == 3 {
		logits := out[2][:200:200]
		agree(t, "logits", append(logits, out[2][1000:][:200]...), reference("logits"))
	} else {
		want = append(slices.Clone(want[:4]), want[6:10]...)
	}
	agree(t, "moments", moments, want)

	// The program for features alone fuses more, and without Winograd's method computes otherwise; it
	// must give the same.
	plain := frozen.Options{Algorithm: kernel.Plain}
	alone, err := plain.Compile(net, filled(t, b, net, names, gain), b.Pooled)
	if err != nil {
		t.Fatal(err)
	}
	pooled := make([]float32, len(out[1])/n)
	if err := alone.NewSession(1).Run(nil, picture(1, height, width), 1, pooled); err != nil {
		t.Fatal(err)
	}
	agree(t, "pooled alone, without Winograd", pooled, reference("pooled")[:len(pooled)])
}

// Files tell the variant by their tensors' names, with the classifier or without, or are refused where
// they could be of two.
func TestVariantsAreRecognised(t *testing.T) {
	for _, entry := range All() {
		for _, name := range entry.Variants() {
			b, err := entry.As(name)
			if err != nil {
				t.Fatal(err)
			}
			whole, err := b.whole()
			if err != nil {
				t.Fatal(err)
			}
			trunk, err := whole.Cut(b.Pooled)
			if err != nil {
				t.Fatal(err)
			}
			for _, names := range b.variants[b.chosen].namings {
				for _, net := range []*nn.Network{whole, trunk} {
					inFile := map[string]stored.Tensor{}
					for _, x := range tensorList(net, names) {
						inFile[x.Name] = stored.Tensor{Name: x.Name, Shape: x.Shape}
					}
					got, err := entry.variantOf(inFile)
					if err != nil && strings.Contains(err.Error(), "say which variant") && strings.Contains(err.Error(), name) {
						continue
					}
					if err != nil || got.chosen != b.chosen {
						t.Errorf("%s, names of %s: %d, %v, want variant %s", b.Name, names.title, got.chosen, err, name)
					}
				}
			}
		}
	}
}

// tensorsOf digests the names and shapes of a backbone's tensors as the scripts do.
func tensorsOf(t *testing.T, b Backbone, names naming) string {
	t.Helper()
	net, err := b.Network(b.Preprocessing().Height, b.Preprocessing().Width)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, x := range tensorList(net, names) {
		lines = append(lines, fmt.Sprintf("%s %s\n", x.Name, strings.ReplaceAll(fmt.Sprint(x.Shape), " ", ", ")))
	}
	slices.Sort(lines)
	sum := sha256.Sum256([]byte(strings.Join(lines, "")))
	return hex.EncodeToString(sum[:])
}

// tensorList lists the tensors, without their data, of a file of the network's weights.
func tensorList(net *nn.Network, names naming) []safetensors.Tensor {
	var list []safetensors.Tensor
	for _, l := range net.Layers() {
		for _, p := range net.LayerParameters(l) {
			shape := slices.Clone(names.layout(net, l, p).shape)
			switch _, dense := l.Op.(nn.Dense); {
			case names.order == kerasOrder:
			case dense && len(shape) > 2: // of a flattened map; a matrix in files
				shape = nn.Shape{shape[0], shape.Size() / shape[0]}
			case dense && len(shape) == 2 && strings.Contains(l.Name, "squeeze"): // a 1×1 convolution in torchvision
				shape = append(shape, 1, 1)
			}
			list = append(list, safetensors.Tensor{Name: names.tensor(p), Shape: shape})
		}
	}
	return list
}

// filled loads a file with tensors of the formula.
func filled(t *testing.T, b Backbone, net *nn.Network, names naming, gain float64) nn.Weights {
	t.Helper()
	list := tensorList(net, names)
	for i := range list {
		fill(&list[i], names.order, gain)
	}
	var content bytes.Buffer
	if err := safetensors.Write(&content, list, nil); err != nil {
		t.Fatal(err)
	}
	file, err := safetensors.Parse(content.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	w, err := b.load(file.Tensors(), net)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// fill is the formula of testdata/make_torchvision.py and make_keras.py.
func fill(x *safetensors.Tensor, order order, gain float64) {
	h := fnv.New64a()
	h.Write([]byte(x.Name))
	state := h.Sum64()
	value := func(u float64) float64 { return u / 5 }
	switch last := x.Name[strings.LastIndexAny(x.Name, "./")+1:]; {
	case last == "running_mean" || last == "moving_mean" || last == "bias" || last == "beta":
	case last == "running_var" || last == "moving_variance":
		value = func(u float64) float64 { return 1 + 3*u/10 }
	case len(x.Shape) == 1:
		value = func(u float64) float64 { return 1 + u/5 }
	default:
		outputs := x.Shape[0]
		if order == kerasOrder {
			outputs = x.Shape[len(x.Shape)-1]
			if last == "depthwise_kernel" {
				outputs = x.Shape[len(x.Shape)-2]
			}
		}
		scale := gain * math.Sqrt(6/float64(nn.Shape(x.Shape).Size()/outputs))
		value = func(u float64) float64 { return scale * u }
	}
	x.Data = make([]float32, nn.Shape(x.Shape).Size())
	for i := range x.Data {
		state += 0x9E3779B97F4A7C15
		z := state
		z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
		z = (z ^ z>>27) * 0x94D049BB133111EB
		z ^= z >> 31
		x.Data[i] = float32(value(float64(z>>40)/(1<<23) - 1))
	}
}

// picture is the input of the scripts.
func picture(n, h, w int) []float32 {
	x := make([]float32, 0, n*h*w*3)
	for i := range n {
		for y := range h {
			for column := range w {
				for c := range 3 {
					v := (3*column + 5*y + 40*c + column*y*(i+1)/32) % 512
					x = append(x, float32(min(v, 511-v)-127)/128)
				}
			}
		}
	}
	return x
}

func meanAndDeviation(x []float32) []float32 {
	var sum, squares float64
	for _, v := range x {
		sum += float64(v)
		squares += float64(v) * float64(v)
	}
	mean := sum / float64(len(x))
	return []float32{float32(mean), float32(math.Sqrt(squares/float64(len(x)) - mean*mean))}
}

// agree checks that got is within 1e-4 of the largest absolute value of want.
func agree(t *testing.T, what string, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	var largest, off float64
	for i, v := range want {
		largest = max(largest, math.Abs(float64(v)))
		off = max(off, math.Abs(float64(got[i]-v)))
	}
	if !(off <= 1e-4*largest) {
		t.Errorf("%s: off by %.3g, the largest value is %.3g", what, off, largest)
	}
	t.Logf("%s: off by %.2g of the largest value", what, off/largest)
}
