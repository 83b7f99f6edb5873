package jpeg

import (
	"errors"
	"fmt"
	"image"

	"github.com/tlpipe/tlpipe/internal/budget"
	"github.com/tlpipe/tlpipe/internal/picture/sample"
)

// Decoder decodes pictures one after another, reusing its buffers. It is not
// for use by several goroutines at once.
type Decoder struct {
	frame   frame
	tables  tables
	samples [4][]uint8
	rows    [4][]uint8 // one row of each component at full width
	sums    []int16
}

// Decode decodes the region of a picture to RGB, 3 bytes a pixel, row by row,
// appended to dst[:0]. The region must lie within the picture.
//
// Files that end early or whose codes are broken give an error; what stands
// after the end of the picture is ignored.
func (d *Decoder) Decode(dst []uint8, data []byte, region image.Rectangle) ([]uint8, error) {
	d.tables.forget()
	d.frame = frame{tables: &d.tables}
	f := &d.frame
	if err := f.read(data, func(marker byte) bool { return marker == markerSOS }); err != nil {
		return nil, err
	}
	if !f.found {
		return nil, errors.New("JPEG: there is no picture in the file")
	}
	if !region.In(image.Rect(0, 0, f.width, f.height)) || region.Empty() {
		return nil, fmt.Errorf("JPEG: region %v is not within %d×%d pixels", region, f.width, f.height)
	}
	d.allocate(region)
	var err error
	if f.progressive {
		err = d.progressive(data)
	} else {
		err = d.sequential(data)
	}
	if err != nil {
		return nil, err
	}
	return d.convert(dst[:0], region), nil
}

// allocate prepares each component to hold the blocks that region needs, with
// one sample more on each side for interpolation.
func (d *Decoder) allocate(region image.Rectangle) {
	f := &d.frame
	for i := range f.parts {
		c := &f.parts[i]
		h, v := f.maxH/c.h, f.maxV/c.v
		c.left = max(region.Min.X/h-1, 0) / 8
		c.top = max(region.Min.Y/v-1, 0) / 8
		c.right = min((region.Max.X-1)/h+1, ceil(f.width, h)-1)/8 + 1
		c.bottom = min((region.Max.Y-1)/v+1, ceil(f.height, v)-1)/8 + 1
		c.stride = 8 * (c.right - c.left)
		d.samples[i] = grow(d.samples[i], c.stride*8*(c.bottom-c.top))
		c.samples = d.samples[i]
	}
}

func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// sequential decodes all scans of a baseline or extended picture.
func (d *Decoder) sequential(data []byte) error {
	f := &d.frame
	seen := 0
	for {
		s, err := f.readScan(data)
		if err != nil {
			return err
		}
		var coefficients [64]int32
		err = f.decodeScan(data, s, func(r *bits, c *component, x, y int) error {
			if r == nil { // lost: uniform grey
				coefficients = [64]int32{}
				if x >= c.left && x < c.right && y >= c.top && y < c.bottom {
					c.transform(&coefficients, 1, x, y)
				}
				return nil
			}
			quantiser := &f.quantisers[c.quantity]
			var end int
			var err error
			if f.arithmeticCoded {
				end, err = s.sequentialArithmetic(f, r, c, quantiser, &coefficients)
			} else {
				end, err = sequentialBlock(r, c, quantiser, &coefficients)
			}
			if err != nil {
				return err
			}
			if x >= c.left && x < c.right && y >= c.top && y < c.bottom {
				c.transform(&coefficients, end, x, y)
			}
			if end > 1 {
				coefficients = [64]int32{}
			}
			return nil
		})
		if err != nil {
			return err
		}
		if seen += len(s.parts); seen >= len(f.parts) {
			return nil
		}
		if err := f.nextScan(data); err != nil {
			return err
		}
	}
}

// transform turns the coefficients of a block into samples. end is the zigzag
// index behind the last coefficient that is not zero.
func (c *component) transform(coefficients *[64]int32, end, x, y int) {
	out := c.samples[8*((y-c.top)*c.stride+x-c.left):]
	if end == 1 {
		sample.Flat(out, c.stride, coefficients[0])
		return
	}
	sample.Inverse(out, c.stride, coefficients)
}

// What a small progressive file can ask for: a scan may pass over all blocks
// without a bit for each. Honest files have about ten scans, which visit a
// block six times.
const (
	maxScans  = 200
	maxVisits = 24      // of each block, in a large picture
	anyVisits = 4 << 20 // of all blocks, in a small one
)

// progressive decodes all scans, then transforms the blocks.
func (d *Decoder) progressive(data []byte) error {
	f := &d.frame
	for i := range f.parts {
		c := &f.parts[i]
		c.coefficients = make([]int16, 64*c.strideX*c.strideY)
		for k := range c.told {
			c.told[k] = untold
		}
	}
	work := budget.New(budget.Limit{Resource: budget.Steps, Most: budget.Proportional(int64(f.blocks()), anyVisits, maxVisits)})
	for scans := 1; ; scans++ {
		if scans > maxScans {
			return fmt.Errorf("JPEG: more than %d scans", maxScans)
		}
		s, err := f.readScan(data)
		if err != nil {
			return err
		}
		for _, c := range s.parts {
			for k := s.from; k <= min(s.to, guessed-1); k++ {
				c.told[k] = int8(s.low)
			}
			if err := work.Take(budget.Steps, int64(c.strideX)*int64(c.strideY)); err != nil {
				return fmt.Errorf("JPEG: %d scans: %w", scans, err)
			}
		}
		if err := f.decodeScan(data, s, func(r *bits, c *component, x, y int) error { return s.progressiveBlock(f, r, c, x, y) }); err != nil {
			return err
		}
		end := false
		if err := f.read(data, func(marker byte) bool {
			end = marker == markerEOI
			return marker == markerSOS
		}); err != nil {
			return err
		}
		if end {
			break
		}
	}
	unfinished := f.unfinished()
	for i := range f.parts {
		c := &f.parts[i]
		quantiser := &f.quantisers[c.quantity]
		of := kernels(c.brightnessAlone())
		for y := c.top; y < c.bottom; y++ {
			for x := c.left; x < c.right; x++ {
				at := 64 * (y*c.strideX + x)
				block := [64]int16(c.coefficients[at : at+64])
				if unfinished {
					c.guess(&block, x, y, quantiser, &of)
				}
				var coefficients [64]int32
				end := 1
				for k, v := range block {
					if v != 0 {
						n := natural[k]
						coefficients[n] = int32(v) * quantiser[n]
						end = k + 1
					}
				}
				c.transform(&coefficients, end, x, y)
			}
		}
		c.coefficients = nil
	}
	return nil
}

// nextScan goes on to the next scan header.
func (f *frame) nextScan(data []byte) error {
	found := false
	if err := f.read(data, func(marker byte) bool {
		found = marker == markerSOS
		return found
	}); err != nil {
		return err
	}
	if !found {
		return errTruncated
	}
	return nil
}
