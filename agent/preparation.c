/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/preparation.h"

#include "agent/device-spec.h"
#include "common/error.h"

struct Preparation {
  Sandbox *sandbox;
  PreparationRequest request;
  PreparationFunc func;
  gpointer user_data;
  gsize next_device;
  gsize next_storage;
  DeviceJob *device_job;
  StorageJob *storage_job;
  guint idle;
  gboolean is_cancelled;
};

static void take_step(Preparation *preparation);

static void end(Preparation *ended, const GError *error) {
  g_autofree Preparation *preparation = ended;
  if (preparation->idle) g_source_remove(preparation->idle);
  preparation->func(error, preparation->user_data);
}

static void device_came(DeviceFound *found, const GError *error, gpointer user_data) {
  Preparation *preparation = user_data;
  preparation->device_job = NULL;
  if (error) {
    end(preparation, error);
    return;
  }
  g_ptr_array_add(preparation->request.found, found);
  take_step(preparation);
}

static void storage_added(const char *key, const GError *error, gpointer user_data) {
  Preparation *preparation = user_data;
  preparation->storage_job = NULL;
  if (error) {
    end(preparation, error);
    return;
  }
  g_ptr_array_add(preparation->request.keys, g_strdup(key));
  take_step(preparation);
}

static void take_step(Preparation *preparation) {
  Sandbox *sandbox = preparation->sandbox;
  const PreparationRequest *request = &preparation->request;
  if (preparation->is_cancelled) {
    g_autoptr(GError) error = g_error_new(KATA_ERROR, KATA_ERR_CANCELLED, "it is to be removed already");
    end(preparation, error);
  } else if (preparation->next_device < request->n_devices) {
    preparation->device_job =
        device_job_start(sandbox, request->devices[preparation->next_device++], device_came, preparation);
  } else if (preparation->next_storage < request->n_storages) {
    preparation->storage_job = storage_table_add(sandbox->storages, request->storages[preparation->next_storage++],
                                                 request->container_id, storage_added, preparation);
  } else {
    end(preparation, NULL);
  }
}

static gboolean begin(gpointer user_data) {
  Preparation *preparation = user_data;
  preparation->idle = 0;
  take_step(preparation);
  return G_SOURCE_REMOVE;
}

Preparation *preparation_start(Sandbox *sandbox, const PreparationRequest *request, PreparationFunc func,
                               gpointer user_data) {
  Preparation *preparation = g_new0(Preparation, 1);
  preparation->sandbox = sandbox;
  preparation->request = *request;
  preparation->func = func;
  preparation->user_data = user_data;
  preparation->idle = g_idle_add_full(G_PRIORITY_DEFAULT, begin, preparation, NULL);
  return preparation;
}

void preparation_cancel(Preparation *preparation) {
  preparation->is_cancelled = TRUE;
  if (preparation->device_job) device_job_cancel(preparation->device_job);
  if (preparation->storage_job) storage_job_cancel(preparation->storage_job);
}
