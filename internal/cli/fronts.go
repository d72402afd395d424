package cli

// fronts are the programs of erofs-utils that the binary stands in for.
var fronts = map[string]func(e *env, name string, args []string) int{}
