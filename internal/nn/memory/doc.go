// Package memory plans memory so that values that are not live at the same time share it.
package memory
