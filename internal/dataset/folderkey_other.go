//go:build !unix

package dataset

import "io/fs"

func keyOf(fs.FileInfo) (folderKey, bool) { return folderKey{}, false }
