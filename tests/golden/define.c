// SPDX-License-Identifier: LGPL-2.1-or-later
/* define ROOT XML...: lets libvirt take each domain. Those that need no KVM go to the embedded QEMU driver,
 * which checks them against the real QEMU; the others to libvirt's own test driver. */
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <glib.h>

static virConnectPtr open_driver(const char *uri) {
  virConnectPtr connection = virConnectOpen(uri);
  if (connection == NULL) fprintf(stderr, "cannot open %s: %s\n", uri, virGetLastErrorMessage());
  return connection;
}

static gboolean define(virConnectPtr connection, const char *path, const char *xml) {
  virDomainPtr domain = virDomainDefineXMLFlags(connection, xml, VIR_DOMAIN_DEFINE_VALIDATE);
  if (domain == NULL) {
    fprintf(stderr, "%s: %s\n", path, virGetLastErrorMessage());
    return FALSE;
  }
  printf("%s: defined by %s\n", path, virConnectGetType(connection));
  gboolean ok = virDomainUndefine(domain) == 0;
  virDomainFree(domain);
  return ok;
}

static void be_silent(void *data, virErrorPtr error) {}

int main(int argc, char **argv) {
  if (argc < 3) {
    fprintf(stderr, "usage: define ROOT XML...\n");
    return 2;
  }
  virSetErrorFunc(NULL, be_silent);
  g_autofree char *uri = g_strdup_printf("qemu:///embed?root=%s", argv[1]);
  if (virEventRegisterDefaultImpl() < 0) return 1;
  virConnectPtr embedded = open_driver(uri), test = open_driver("test:///default");
  gboolean ok = embedded != NULL && test != NULL;
  for (int i = 2; ok && i < argc; i++) {
    g_autofree char *xml = NULL;
    ok = g_file_get_contents(argv[i], &xml, NULL, NULL) &&
         define(strstr(xml, "<domain type=\"kvm\"") != NULL ? test : embedded, argv[i], xml);
  }
  if (embedded != NULL) virConnectClose(embedded);
  if (test != NULL) virConnectClose(test);
  return ok ? 0 : 1;
}
