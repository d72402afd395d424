package daemon

import (
	"context"
	"log/slog"

	"github.com/laminafs/lamina/internal/store"
)

// LogEvent logs what happened to a store: damage as a warning, for somebody lost a layer; all else for those who
// look for something.
func LogEvent(log *slog.Logger, e store.Event) {
	l := slog.LevelDebug
	switch {
	case e.Kind == store.Damaged, e.Kind == store.Removed && e.Err != nil:
		l = slog.LevelWarn
	case e.Kind == store.Healed:
		l = slog.LevelInfo
	}
	args := []any{"event", eventName(e.Kind)}
	if e.Key.Digest != "" {
		args = append(args, "blob", e.Key.String())
	}
	if e.Path != "" {
		args = append(args, "path", e.Path)
	}
	if e.Bytes > 0 {
		args = append(args, "bytes", e.Bytes)
	}
	if e.Err != nil {
		args = append(args, "error", e.Err)
	}
	log.Log(context.Background(), l, "store", args...)
}

// eventName is the word for a kind of event, in metrics and in the log.
func eventName(k store.EventKind) string {
	switch k {
	case store.Published:
		return "published"
	case store.Healed:
		return "healed"
	case store.Damaged:
		return "damaged"
	case store.Mounted:
		return "mounted"
	case store.Unmounted:
		return "unmounted"
	case store.Collected:
		return "collected"
	case store.Removed:
		return "removed"
	}
	return "other"
}
