package sample

//go:generate go run -C asm . -dir ..

const hasVectors = true
