package kernel

func detect() isa { return portable }
