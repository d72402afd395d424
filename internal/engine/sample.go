package engine

import _ "embed" // the sample

//go:embed sample.toml
var sample string

// Sample is a configuration file with every key, its default and what it means.
func Sample() string { return sample }
