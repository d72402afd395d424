package cli

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"
)

// screen is the lines at the end of a terminal that are drawn again and again. It needs two control sequences, which every
// terminal has that is not dumb (ECMA-48: CUU, ED), and no colours.
type screen struct {
	f     *os.File
	drawn []int // the widths of the lines that are there
}

// newScreen returns nil if w is no terminal, or one that cannot move its cursor.
func newScreen(w any) *screen {
	if t := os.Getenv("TERM"); t == "" || t == "dumb" || !isTerminal(w) {
		return nil
	}
	return &screen{f: w.(*os.File)}
}

// Where a terminal does not tell its size: that of the first ones.
const (
	usualColumns = 80
	usualRows    = 24
)

// size is asked for anew each time: terminals are resized.
func (s *screen) size() (columns, rows int) {
	columns, rows, err := term.GetSize(int(s.f.Fd()))
	if err != nil || columns <= 0 || rows <= 0 {
		return usualColumns, usualRows
	}
	return columns, rows
}

// draw puts lines in place of those that are there, as many as fit. Each is cut so that it fills no row: a terminal would
// go on in the next.
func (s *screen) draw(lines []string) {
	columns, rows := s.size()
	var out bytes.Buffer
	if up := s.height(columns); up > 0 {
		fmt.Fprintf(&out, "\x1b[%dA\r\x1b[J", min(up, rows-1))
	}
	s.drawn = s.drawn[:0]
	for _, l := range lines[:max(0, min(len(lines), rows-1))] {
		l = cutLine(l, columns-1)
		s.drawn = append(s.drawn, utf8.RuneCountInString(l))
		out.WriteString(l + "\r\n")
	}
	_, _ = s.f.Write(out.Bytes()) // decoration
}

// height is how many rows the lines that are there take now: in a terminal that has become narrower, more.
func (s *screen) height(columns int) (rows int) {
	for _, width := range s.drawn {
		rows += max(1, (width+columns-1)/columns)
	}
	return rows
}

// cutLine is the beginning of a line, in columns: all that is drawn has one for each rune.
func cutLine(l string, columns int) string {
	l = strings.TrimRight(l, " ")
	for i := range l {
		if columns--; columns < 0 {
			return l[:i]
		}
	}
	return l
}
