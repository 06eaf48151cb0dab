// SPDX-License-Identifier: LGPL-2.1-or-later

package kata

// #include <kata/kata.h>
import "C"

import (
	"context"
	"unsafe"
)

// MountInfo is what is left for a guest to mount: a block device, of which only Device must be there.
type MountInfo struct {
	VolumeType string            `json:"volume-type,omitempty"` // "block"
	Device     string            `json:"device"`
	FSType     string            `json:"fstype,omitempty"`
	Options    []string          `json:"options,omitempty"`
	Metadata   map[string]string `json:"metadata,omitempty"` // fsGroup, fsGroupChangePolicy
}

// DirectVolume is a direct-assigned volume, and who has it.
type DirectVolume struct {
	VolumePath string    `json:"volume_path"`
	MountInfo  MountInfo `json:"mount_info"`
	Users      []struct {
		Sandbox string `json:"sandbox"`
		Root    string `json:"root"` // the directory it lives below
	} `json:"users"`
}

// VolumeUsage is how much of a volume is used.
type VolumeUsage struct {
	Available uint64 `json:"available"`
	Total     uint64 `json:"total"`
	Used      uint64 `json:"used"`
	Unit      int    `json:"unit"` // 1: bytes, 2: inodes
}

// VolumeStats are the members of CSI's NodeGetVolumeStatsResponse.
type VolumeStats struct {
	Usage           []VolumeUsage `json:"usage"`
	VolumeCondition struct {
		Abnormal bool   `json:"abnormal"`
		Message  string `json:"message"`
	} `json:"volume_condition"`
}

// AddDirectVolume leaves a block device for guests to mount where a container has a bind mount of a path.
func (c *Client) AddDirectVolume(ctx context.Context, volumePath string, info MountInfo) error {
	text, err := marshal("mount info", info)
	if err != nil {
		return err
	}
	return tell(ctx, c.handle, func(pointer unsafe.Pointer) error {
		cpath, free, err := cString(volumePath)
		if err != nil {
			return err
		}
		defer free()
		ctext, free := cDocument(text)
		defer free()
		var cerr *C.kata_error
		result := C.kata_direct_volume_add((*C.kata_context)(pointer), cpath, ctext, 0, &cerr)
		return takeStatus(result, &cerr)
	})
}

// RemoveDirectVolume takes back what was left for a path.
func (c *Client) RemoveDirectVolume(ctx context.Context, volumePath string) error {
	return tell(ctx, c.handle, func(pointer unsafe.Pointer) error {
		cpath, free, err := cString(volumePath)
		if err != nil {
			return err
		}
		defer free()
		var cerr *C.kata_error
		result := C.kata_direct_volume_remove((*C.kata_context)(pointer), cpath, 0, &cerr)
		return takeStatus(result, &cerr)
	})
}

// DirectVolumes are what has been left.
func (c *Client) DirectVolumes(ctx context.Context) ([]DirectVolume, error) {
	return askJSON[[]DirectVolume](ctx, c.handle, func(pointer unsafe.Pointer) (string, error) {
		var cerr *C.kata_error
		text := C.kata_direct_volume_list((*C.kata_context)(pointer), 0, &cerr)
		return takeText(text, &cerr)
	})
}

// ResizeDirectVolume lets the guest's file system on a volume have the bytes that its device has by now.
func (c *Client) ResizeDirectVolume(ctx context.Context, volumePath string, bytes uint64) error {
	return tell(ctx, c.handle, func(pointer unsafe.Pointer) error {
		cpath, free, err := cString(volumePath)
		if err != nil {
			return err
		}
		defer free()
		var cerr *C.kata_error
		result := C.kata_direct_volume_resize((*C.kata_context)(pointer), cpath, C.uint64_t(bytes), 0, &cerr)
		return takeStatus(result, &cerr)
	})
}

// DirectVolumeStats is how full a volume is in the guest that has it.
func (c *Client) DirectVolumeStats(ctx context.Context, volumePath string) (VolumeStats, error) {
	return askJSON[VolumeStats](ctx, c.handle, func(pointer unsafe.Pointer) (string, error) {
		cpath, free, err := cString(volumePath)
		if err != nil {
			return "", err
		}
		defer free()
		var cerr *C.kata_error
		text := C.kata_direct_volume_get_stats((*C.kata_context)(pointer), cpath, 0, &cerr)
		return takeText(text, &cerr)
	})
}
