// Package machine tells what the machine has that work may take.
package machine
