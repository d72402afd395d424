//go:build !linux

package engine

import "context"

func runtimeDelete(context.Context, string, string, string) {}

func runtimeKill(context.Context, string, string, string) {}
