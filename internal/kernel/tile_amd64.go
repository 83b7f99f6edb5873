package kernel

// tileWide computes m rows in panels of panelColumns.
func tileWide(set isa, m int, t *tile) {
	tilePortable(m, t)
}

// tileNarrow computes m rows in one panel of narrowColumns.
func tileNarrow(set isa, m int, t *tile) {
	tilePortable(m, t)
}
