package cli

import "errors"

// convertDir makes an image of a directory.
func (e *env) convertDir(j *buildJob, src *source, out *output, p *progress, r *buildResult) error {
	return errors.ErrUnsupported
}
