package console

import (
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/tlpipe/tlpipe/pipeline"
)

// bars is the Progress of terminals: a live bar for each stage that has not
// ended, and above them a line for each that has.
type bars struct {
	out    *mpb.Progress
	order  []string // all stages
	stages map[string]*stageBar
	listed overviews
}

type stageBar struct {
	bar *mpb.Bar
	mu  sync.Mutex
	tally
}

func newBars(f io.Writer, order []string, options ...mpb.ContainerOption) *bars {
	options = append([]mpb.ContainerOption{mpb.WithOutput(f), mpb.WithRefreshRate(100 * time.Millisecond)}, options...)
	return &bars{out: mpb.New(options...), order: order, stages: map[string]*stageBar{}, listed: overviews{}}
}

// Observe implements Progress.
func (b *bars) Observe(event pipeline.Event) {
	switch e := event.(type) {
	case pipeline.LogLine:
		b.Say(logText(e))
	case pipeline.SourceListed:
		for _, line := range b.listed.lines(e) {
			b.Say(line)
		}
	case pipeline.StageEnded:
		if s := b.stages[e.Stage]; s != nil {
			s.bar.Abort(true)
			delete(b.stages, e.Stage)
		}
		switch e.Cache {
		case "hit", "skipped", "interrupted": // the summary tells of those
		default:
			b.Say(endText(e))
		}
	case pipeline.StageStarted:
		if len(b.order) <= mostIdle {
			b.stage(e.Stage)
		}
	default:
		stage, ok := stageOf(event)
		if !ok {
			return
		}
		s := b.stage(stage)
		s.mu.Lock()
		s.count(event, time.Now())
		done, total := int64(barUnits*s.progress()), barUnits*s.total
		s.mu.Unlock()
		if total > 0 {
			s.bar.SetTotal(total, false)
		}
		s.bar.SetCurrent(done)
	}
}

// barUnits is how many units of a bar one of a stage's is, so that it moves while that is at work.
const barUnits = 1000

// Say implements Progress. The line starts over, for the terminal may have
// written ^C there.
func (b *bars) Say(text string) { fmt.Fprintln(b.out, "\r"+Line(text)) }

// mostIdle is how many stages a pipeline may have for those to be shown that
// have done nothing yet.
const mostIdle = 16

// stage returns the bar of a stage; it makes one if there is none.
func (b *bars) stage(stage string) *stageBar {
	if s := b.stages[stage]; s != nil {
		return s
	}
	s := &stageBar{}
	b.stages[stage] = s
	s.bar = newBar(b.out, slices.Index(b.order, stage), stage, func() string {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.text(time.Now())
	})
	return s
}

// newBar adds a bar between a name and a text that changes.
func newBar(out *mpb.Progress, priority int, name string, text func() string) *mpb.Bar {
	return out.New(0, mpb.BarStyle().Lbound("[").Filler("=").Tip(">").Padding(" ").Rbound("]"),
		mpb.BarWidth(24),
		mpb.BarPriority(priority),
		mpb.PrependDecorators(decor.Name(Shorten(name, 40), decor.WCSyncSpaceR)),
		mpb.AppendDecorators(decor.Any(func(decor.Statistics) string { return text() })),
	)
}

// Close implements Progress.
func (b *bars) Close() {
	for _, s := range b.stages {
		s.bar.Abort(true)
	}
	b.out.Wait()
}
