package jpeg

// progressiveBlock decodes one block of one scan of a progressive picture,
// T.81 G.1.2, into the component's coefficients, which stay in zigzag order.
func (s *scan) progressiveBlock(f *frame, r *bits, c *component, x, y int) error {
	if r == nil { // lost
		return nil
	}
	at := 64 * (y*c.strideX + x)
	block := (*[64]int16)(c.coefficients[at : at+64])
	switch {
	case f.arithmeticCoded:
		return s.arithmeticBlock(f, r, c, block)
	case s.from == 0 && s.high == 0:
		r.fill()
		size, ok := r.next(c.dc)
		if !ok || size > 15 {
			return errCode
		}
		if size > 0 {
			c.predicted += int(extend(r.take(int(size)), int(size)))
		}
		block[0] = int16(c.predicted << s.low)
	case s.from == 0:
		block[0] |= int16(r.bit() << s.low)
	case s.high == 0:
		return s.firstBand(r, c.ac, block)
	default:
		return s.refineBand(r, c.ac, block)
	}
	return nil
}

// firstBand decodes the upper bits of a band of AC coefficients.
func (s *scan) firstBand(r *bits, ac *huffman, block *[64]int16) error {
	if s.endOfBands > 0 {
		s.endOfBands--
		return nil
	}
	for k := s.from; k <= s.to; k++ {
		r.fill()
		symbol, ok := r.next(ac)
		if !ok {
			return errCode
		}
		run, size := int(symbol>>4), int(symbol&15)
		if size == 0 {
			if run == 15 {
				k += 15
				continue
			}
			s.endOfBands = 1<<run - 1
			if run > 0 {
				s.endOfBands += int(r.take(run))
			}
			return nil
		}
		k += run
		if k > s.to {
			return errCode
		}
		block[k] = int16(extend(r.take(size), size) << s.low)
	}
	return nil
}

// refineBand adds one bit to each coefficient of a band: to those that are not
// zero a correction bit, among those that are zero new ±1.
func (s *scan) refineBand(r *bits, ac *huffman, block *[64]int16) error {
	one := int16(1) << s.low
	k := s.from
	if s.endOfBands == 0 {
		for ; k <= s.to; k++ {
			r.fill()
			symbol, ok := r.next(ac)
			if !ok {
				return errCode
			}
			run, size := int(symbol>>4), int(symbol&15)
			var value int16
			switch {
			case size == 1:
				value = -one
				if r.bit() == 1 {
					value = one
				}
			case size != 0:
				return errCode
			case run < 15:
				s.endOfBands = 1 << run
				if run > 0 {
					s.endOfBands += int(r.take(run))
				}
			}
			if s.endOfBands > 0 {
				break
			}
			k = s.refine(r, block, k, run, one)
			if value != 0 {
				if k > s.to {
					return errCode
				}
				block[k] = value
			}
		}
	}
	if s.endOfBands > 0 {
		s.endOfBands--
		s.refine(r, block, k, 64, one)
	}
	return nil
}

// refine reads correction bits from k on until it has passed over zeros
// zero coefficients, and returns the index of the next zero one, or one past
// the band.
func (s *scan) refine(r *bits, block *[64]int16, k, zeros int, one int16) int {
	for ; k <= s.to; k++ {
		if block[k] == 0 {
			if zeros == 0 {
				break
			}
			zeros--
			continue
		}
		if r.bit() == 1 && block[k]&one == 0 {
			if block[k] > 0 {
				block[k] += one
			} else {
				block[k] -= one
			}
		}
	}
	return k
}
