package main

import . "github.com/mmcloughlin/avo/operand"

// maskTable returns 16 lanes that are on followed by 16 that are off: a load that begins n lanes
// before the middle is a mask of n lanes.
func (f *file) maskTable() Mem {
	if f.masks == nil {
		m := f.StaticGlobal(f.name + "_masks")
		f.DataAttributes(8 | 16) // RODATA | NOPTR
		for i := range 32 {
			v := uint32(0)
			if i < 16 {
				v = 0xffffffff
			}
			f.AddDatum(4*i, U32(v))
		}
		f.masks = &m
	}
	return *f.masks
}
