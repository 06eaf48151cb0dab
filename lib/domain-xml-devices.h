/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The <devices> section of the domain XML. */
#pragma once

#include "lib/domain-xml-writer.h"
#include "lib/vm-config.h"

void domain_xml_write_devices(XmlWriter *xml, const VmConfig *config);

/* The shared directory, where config has it. */
void domain_xml_write_share(XmlWriter *xml, const VmConfig *config);
void domain_xml_write_nic(XmlWriter *xml, const VmNic *nic);
