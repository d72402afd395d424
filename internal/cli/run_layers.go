package cli

import (
	"github.com/laminafs/lamina/internal/convert"
	"github.com/laminafs/lamina/internal/oci"
)

// convertLayers returns the EROFS images of the layers, the lowest first, and makes those that are not
// there.
func (e *env) convertLayers(j *runJob, im *oci.Image, blobs convert.Blobs) ([]string, error) {
	plan, err := blobs.Plan(im)
	if err != nil {
		return nil, err
	}
	if plan.Done() {
		return plan.Blobs, nil
	}
	p, err := e.startProgress(j.progress, "converting layers", plan.Bytes)
	if err != nil {
		return nil, err
	}
	defer p.close()
	return plan.Blobs, plan.Run(e.ctx, p.add)
}
