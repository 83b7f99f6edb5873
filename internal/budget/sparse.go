package budget

import (
	"fmt"
	"io/fs"
)

// CheckFile refuses a file whose size is not what it takes on disk: a hole of terabytes would be read for hours. Up to
// 1 GiB nothing is refused, nor what is at least a 64th on disk, which file systems that compress may give.
func CheckFile(info fs.FileInfo) error {
	onDisk, known := allocated(info)
	if size := info.Size(); known && size > 1<<30 && onDisk < size/64 {
		return fmt.Errorf("it is %s long, of which %s are on disk: a sparse file, which is not read (copy it without holes if it is meant)",
			Bytes(size), Bytes(onDisk))
	}
	return nil
}
