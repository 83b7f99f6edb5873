package train

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"math"
	"slices"
	"strconv"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/train/optimizer"
)

// A checkpoint is
//
//	magic | length of the header, uint32 | header, JSON | numbers | CRC-32 of all before, uint32
//
// little-endian. The header lists the sections of the numbers, in order: float32 tensors and
// float64 lists.
const checkpointMagic = "tlpipe training 2\n"

type checkpointHeader struct {
	BestEpoch int            `json:"best_epoch"`
	Stopped   bool           `json:"stopped"`
	Steps     map[string]int `json:"steps"`              // of the optimizer, by parameter
	Averaged  int            `json:"averaged,omitempty"` // steps that the mean of the weights has taken in
	Sections  []section      `json:"sections"`
}

// section is a run of numbers: one of floats and doubles.
type section struct {
	Name   string `json:"name"`
	Length int    `json:"length"`
	Wide   bool   `json:"wide,omitempty"` // float64

	floats  []float32
	doubles []float64
}

// Names of sections. Tensors are named by a prefix and the parameter.
const (
	historySection  = "history"
	underwaySection = "epoch under way"
	courseSection   = "course"
	windowSection   = "steps since the last point of the course"
	scheduleSection = "schedule"
	stoppingSection = "stopping"
	bestSection     = "best metric"
	ownSection      = "numbers of the objective"
	weightsPrefix   = "weights/"
	averagePrefix   = "average/"
	bestPrefix      = "best/"
	optimizerPrefix = "optimizer/" // optimizer/0/name
)

// numbersPerEpoch is the length of an epoch in the history: three numbers, and the measures of training and
// of validation.
func (t *Trainer) numbersPerEpoch() int { return 3 + 2*len(t.objective.Measures()) }

// Save returns a checkpoint. It may be called by what Run calls after an epoch or a step, and when no
// Run is in progress.
func (t *Trainer) Save() ([]byte, error) {
	h := checkpointHeader{BestEpoch: t.best.epoch, Stopped: t.stopped, Steps: map[string]int{}}
	doubles := func(name string, x []float64) {
		h.Sections = append(h.Sections, section{Name: name, Length: len(x), Wide: true, doubles: x})
	}
	floats := func(name string, x []float32) {
		h.Sections = append(h.Sections, section{Name: name, Length: len(x), floats: x})
	}
	var history []float64
	for _, e := range t.history {
		history = append(append(history, e.Loss), t.numbers(e.Measures)...)
		history = append(append(history, e.ValidationLoss), t.numbers(e.ValidationMeasures)...)
		history = append(history, e.Rate)
	}
	doubles(historySection, history)
	doubles(underwaySection, t.under.numbers(len(t.objective.Measures())))
	if t.options.Points > 0 {
		doubles(courseSection, t.course.numbers(t))
		doubles(windowSection, t.course.window.numbers(len(t.objective.Measures())))
	}
	doubles(scheduleSection, t.options.Schedule.State())
	if t.options.Stopping != nil {
		doubles(stoppingSection, t.options.Stopping.State())
	}
	doubles(bestSection, []float64{t.best.metric})
	if len(t.own) > 0 {
		doubles(ownSection, t.own)
	}
	for _, name := range slices.Sorted(maps.Keys(t.weights)) {
		floats(weightsPrefix+name, t.weights[name].Data)
	}
	if t.average != nil {
		h.Averaged = t.average.updates
		for _, name := range t.average.moving {
			floats(averagePrefix+name, t.average.weights[name].Data)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(t.best.weights)) {
		floats(bestPrefix+name, t.best.weights[name].Data)
	}
	state := t.optimizer.State()
	for _, name := range slices.Sorted(maps.Keys(state)) {
		h.Steps[name] = state[name].Steps
		for i, slot := range state[name].Slots {
			floats(optimizerPrefix+strconv.Itoa(i)+"/"+name, slot)
		}
	}
	return h.encode()
}

// Restore takes a checkpoint that a trainer of the same network and options saved. If it returns an
// error, the trainer is as it was.
func (t *Trainer) Restore(checkpoint []byte) error {
	if err := t.restore(checkpoint); err != nil {
		return fmt.Errorf("restore a training checkpoint: %w", err)
	}
	return nil
}

func (t *Trainer) restore(checkpoint []byte) error {
	h, sections, err := decode(checkpoint)
	if err != nil {
		return err
	}
	doubles := func(name string) []float64 { return sections[name].doubles }
	history := doubles(historySection)
	each, measures := t.numbersPerEpoch(), len(t.objective.Measures())
	if len(history)%each != 0 || len(history)/each > t.options.Epochs {
		return fmt.Errorf("the history has %d numbers for %d epochs at most", len(history), t.options.Epochs)
	}
	var under underway
	if err := under.restore(doubles(underwaySection), measures); err != nil {
		return err
	}
	course, err := t.courseOf(doubles(courseSection), doubles(windowSection))
	if err != nil {
		return err
	}
	own := doubles(ownSection)
	if len(own) != len(t.own) {
		return fmt.Errorf("the objective has %d numbers of its own, not %d", len(t.own), len(own))
	}
	names := slices.Sorted(maps.Keys(t.weights))
	weights, err := t.tensors(sections, weightsPrefix, names)
	if err != nil {
		return err
	}
	var averaged nn.Weights
	if t.average != nil {
		if averaged, err = t.tensors(sections, averagePrefix, t.average.moving); err != nil {
			return err
		}
	}
	restored := best{metric: t.best.metric}
	_, found := sections[bestPrefix+names[0]]
	if metric := doubles(bestSection); found && len(metric) == 1 {
		restored = best{metric: metric[0], epoch: h.BestEpoch}
		if restored.weights, err = t.tensors(sections, bestPrefix, names); err != nil {
			return err
		}
	}
	state := optimizer.State{}
	for name, steps := range h.Steps {
		m := optimizer.Memory{Steps: steps}
		for i := 0; ; i++ {
			s, ok := sections[optimizerPrefix+strconv.Itoa(i)+"/"+name]
			if !ok {
				break
			}
			if len(s.floats) != len(t.weights[name].Data) {
				return fmt.Errorf("the optimizer remembers %d numbers of %q, which has %d", len(s.floats), name, len(t.weights[name].Data))
			}
			m.Slots = append(m.Slots, s.floats)
		}
		state[name] = m
	}
	if err := t.remember(doubles(scheduleSection), doubles(stoppingSection), state); err != nil {
		return err
	}
	t.history = nil
	for epoch := range slices.Chunk(history, each) {
		training, validation := epoch[:1+measures], epoch[1+measures:]
		t.history = append(t.history, Epoch{
			Number: len(t.history) + 1, Loss: training[0], Measures: t.measures(training[1:]),
			ValidationLoss: validation[0], ValidationMeasures: t.measures(validation[1 : 1+measures]), Rate: validation[1+measures],
		})
	}
	for name, tensor := range weights {
		copy(t.weights[name].Data, tensor.Data)
	}
	for name, tensor := range averaged {
		copy(t.average.weights[name].Data, tensor.Data)
		t.average.updates = h.Averaged
	}
	copy(t.own, own)
	t.under, t.course = under, course
	t.drop()
	t.best, t.stopped = restored, h.Stopped
	return nil
}

// remember restores what the schedule, early stopping and the optimizer remember: all or nothing.
func (t *Trainer) remember(scheduled, stopping []float64, state optimizer.State) error {
	o, before, memory := t.options, t.options.Schedule.State(), t.optimizer.State()
	if err := o.Schedule.Restore(scheduled); err != nil {
		return err
	}
	if err := t.optimizer.Restore(state); err != nil {
		return errors.Join(err, o.Schedule.Restore(before))
	}
	if o.Stopping == nil {
		return nil
	}
	if err := o.Stopping.Restore(stopping); err != nil {
		return errors.Join(err, t.optimizer.Restore(memory), o.Schedule.Restore(before))
	}
	return nil
}

// numbers are the epoch under way as a checkpoint has it, with so many measures.
func (u underway) numbers(measures int) []float64 {
	out := append([]float64{float64(u.steps), u.loss, u.mass}, make([]float64, measures)...)
	copy(out[3:], u.measured)
	return append(out, float64(u.seen), u.rate)
}

func (u *underway) restore(numbers []float64, measures int) error {
	end := 3 + measures
	if len(numbers) != end+2 {
		return fmt.Errorf("the epoch under way has %d numbers, want %d", len(numbers), end+2)
	}
	if steps := numbers[0]; !(steps >= 0 && steps < 1<<32) {
		return fmt.Errorf("%v steps of the epoch under way were taken", steps)
	}
	*u = underway{
		steps: int(numbers[0]), loss: numbers[1], mass: numbers[2],
		measured: slices.Clone(numbers[3:end]), seen: int(numbers[end]), rate: numbers[end+1],
	}
	return nil
}

// tensors returns the sections under a prefix as weights of these names.
func (t *Trainer) tensors(sections map[string]section, prefix string, names []string) (nn.Weights, error) {
	out := nn.Weights{}
	for _, name := range names {
		own := t.weights[name]
		s, ok := sections[prefix+name]
		if !ok || len(s.floats) != len(own.Data) {
			return nil, fmt.Errorf("%s%s has %d numbers, the network %d", prefix, name, len(s.floats), len(own.Data))
		}
		out[name] = nn.Tensor{Shape: slices.Clone(own.Shape), Data: s.floats}
	}
	return out, nil
}

func (h checkpointHeader) encode() ([]byte, error) {
	header, err := json.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("save a training checkpoint: %w", err)
	}
	size := len(checkpointMagic) + 4 + len(header) + 4
	for _, s := range h.Sections {
		size += s.bytes()
	}
	out := append(make([]byte, 0, size), checkpointMagic...)
	out = binary.LittleEndian.AppendUint32(out, uint32(len(header)))
	out = append(out, header...)
	for _, s := range h.Sections {
		for _, x := range s.floats {
			out = binary.LittleEndian.AppendUint32(out, math.Float32bits(x))
		}
		for _, x := range s.doubles {
			out = binary.LittleEndian.AppendUint64(out, math.Float64bits(x))
		}
	}
	return binary.LittleEndian.AppendUint32(out, crc32.ChecksumIEEE(out)), nil
}

func (s section) bytes() int {
	if s.Wide {
		return 8 * s.Length
	}
	return 4 * s.Length
}

// decode reads what encode wrote.
func decode(data []byte) (h checkpointHeader, sections map[string]section, err error) {
	head := len(checkpointMagic) + 4
	if len(data) < head+4 || string(data[:len(checkpointMagic)]) != checkpointMagic {
		return h, nil, errors.New("it is not one, or of another version")
	}
	body := data[:len(data)-4]
	if crc32.ChecksumIEEE(body) != binary.LittleEndian.Uint32(data[len(body):]) {
		return h, nil, errors.New("it is damaged")
	}
	length := binary.LittleEndian.Uint32(data[head-4:])
	if uint64(length) > uint64(len(body)-head) {
		return h, nil, errors.New("its header is longer than it")
	}
	if err := json.Unmarshal(body[head:head+int(length)], &h); err != nil {
		return h, nil, fmt.Errorf("its header: %w", err)
	}
	numbers := body[head+int(length):]
	sections = map[string]section{}
	for _, s := range h.Sections {
		if s.Length < 0 || s.Length > len(numbers) || s.bytes() > len(numbers) {
			return h, nil, fmt.Errorf("section %q is longer than what is left", s.Name)
		}
		raw := numbers[:s.bytes()]
		numbers = numbers[s.bytes():]
		if s.Wide {
			s.doubles = make([]float64, s.Length)
			for i := range s.doubles {
				s.doubles[i] = math.Float64frombits(binary.LittleEndian.Uint64(raw[8*i:]))
			}
		} else {
			s.floats = make([]float32, s.Length)
			for i := range s.floats {
				s.floats[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
			}
		}
		sections[s.Name] = s
	}
	if len(numbers) != 0 {
		return h, nil, fmt.Errorf("%d bytes are left over", len(numbers))
	}
	return h, sections, nil
}
