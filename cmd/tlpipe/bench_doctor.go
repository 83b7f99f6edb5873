package main

import (
	"errors"
	"fmt"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tlpipe/tlpipe/internal/bench"
	"github.com/tlpipe/tlpipe/internal/console"
)

func (p *program) benchDoctorCommand() *cobra.Command {
	var (
		doctor bench.Doctor
		asJSON bool
	)
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Examine this machine: instructions, speed, what slows it down",
		Long: `Tell which instructions of this processor are used, how fast it multiplies, copies
memory, reads JPEG files and runs two networks in each precision, what share of the
processor's peak that is, and what makes the machine slower than it could be. The
networks have random weights. It takes some seconds, on processors without vector
instructions a minute.`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			e, err := doctor.Examine(c.Context(), func(work string) { fmt.Fprintf(p.err, "measuring: %s\n", work) })
			if wrong := new(bench.RequestError); errors.As(err, &wrong) {
				return usage("%w", err)
			}
			if err != nil {
				return err
			}
			if asJSON {
				return p.out.JSON().Encode(e)
			}
			return p.printExamination(e)
		},
	}
	f := c.Flags()
	f.IntVar(&doctor.Threads, "threads", runtime.GOMAXPROCS(0), "number of `threads`")
	f.IntVar(&doctor.Size, "size", 0, "height and width of the networks' images in `pixels` (default: 224, or 96 on slow machines)")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// printExamination tells what the machine has, then how fast it is, then what was found.
func (p *program) printExamination(e *bench.Examination) error {
	facts := console.NewTable("MACHINE", "")
	facts.Row("processor", e.Processor)
	facts.Row("cores", fmt.Sprintf("%d, measured with %d threads", e.Cores, e.Threads))
	if e.Memory > 0 {
		facts.Row("memory", console.Bytes(e.Memory))
	}
	if e.Load != nil {
		facts.Row("load before", fmt.Sprintf("%.1f", *e.Load))
	}
	instructions := e.Instructions
	if e.Best != e.Instructions {
		instructions += ", the processor has " + e.Best
	}
	facts.Row("kernels", instructions)
	var has, lacks []string
	for _, f := range e.Features {
		if f.Present {
			has = append(has, f.Name)
		} else {
			lacks = append(lacks, f.Name+" ("+f.For+")")
		}
	}
	if len(has) > 0 {
		facts.Row("it has", strings.Join(has, ", "))
	}
	if len(lacks) > 0 {
		facts.Row("it lacks", strings.Join(lacks, ", "))
	}
	if err := facts.Write(p.out, ""); err != nil {
		return err
	}
	fmt.Fprintln(p.out)
	work := console.NewTable("WORK", ">SPEED", "", ">GFLOP/S", ">OF THE PEAK")
	work.Row("multiply-adds in registers, float32", fmt.Sprintf("%.0f", e.Peak), "GFLOP/s", fmt.Sprintf("%.0f", e.Peak), "100%")
	for _, s := range e.Work {
		gflops, share := "", ""
		if s.GFLOPS > 0 {
			gflops, share = fmt.Sprintf("%.0f", s.GFLOPS), fmt.Sprintf("%.0f%%", 100*s.Share)
		}
		work.Row(s.Work, fmt.Sprintf("%.*f", decimals(s.Value), s.Value), s.Unit, gflops, share)
	}
	if err := work.Write(p.out, ""); err != nil {
		return err
	}
	fmt.Fprintln(p.out)
	if len(e.Findings) == 0 {
		fmt.Fprintln(p.out, "nothing was found that slows this machine down")
	}
	for _, f := range e.Findings {
		fmt.Fprintln(p.out, "found:", f)
	}
	return nil
}

// decimals are those that a speed is told with.
func decimals(speed float64) int {
	if speed < 100 {
		return 1
	}
	return 0
}
