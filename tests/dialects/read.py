"""Reads standard input as one of the dialects of `kubezone delegation`, with that dialect's own reader, and prints the records
that it understood: read.py DIALECT PARENT."""

import json
import pathlib
import sys
import tempfile


def route53(text, _parent):
    import botocore.session
    import botocore.validate

    model = botocore.session.get_session().get_service_model("route53")
    shape = model.operation_model("ChangeResourceRecordSets").input_shape
    batch = json.loads(text)
    report = botocore.validate.ParamValidator().validate({"HostedZoneId": "Z1", "ChangeBatch": batch}, shape)
    assert not report.has_errors(), report.generate_report()
    # What the validator does not look at, and the service does.
    types = model.shape_for("RRType").enum
    assert len(batch["Comment"]) <= model.shape_for("ResourceDescription").metadata["max"]
    for change in batch["Changes"]:
        assert change["Action"] in model.shape_for("ChangeAction").enum
        rrset = change["ResourceRecordSet"]
        assert rrset["Type"] in types, rrset["Type"]
        for record in rrset["ResourceRecords"]:
            yield rrset["Name"], rrset["TTL"], rrset["Type"], record["Value"]


def cloudflare(text, parent):
    import dns.zone

    zone = dns.zone.from_text(text, origin=parent, relativize=False, check_origin=False)
    for name, ttl, rdata in zone.iterate_rdatas():
        yield name, ttl, dns.rdatatype.to_text(rdata.rdtype), rdata


def gcloud(text, _parent):
    import yaml

    for rrset in yaml.safe_load_all(text):
        # As `gcloud dns record-sets import` reads one, and the API's own schema has it.
        assert set(rrset) == {"kind", "name", "rrdatas", "ttl", "type"}, rrset
        assert rrset["kind"] == "dns#resourceRecordSet"
        assert isinstance(rrset["ttl"], int) and all(isinstance(rdata, str) for rdata in rrset["rrdatas"]), rrset
        for rdata in rrset["rrdatas"]:
            yield rrset["name"], rrset["ttl"], rrset["type"], rdata


def octodns(text, parent):
    from octodns.provider.yaml import YamlProvider
    from octodns.zone import Zone

    with tempfile.TemporaryDirectory() as folder:
        # The provider wants all keys in order, and octoDNS validates each record.
        pathlib.Path(folder, f"{parent}yaml").write_text(text)
        zone = Zone(parent, [])
        YamlProvider("config", folder).populate(zone)
        for record in zone.records:
            name, ttl, rtype, values = record.rrs
            for value in values:
                yield name, ttl, rtype, value


def terraform(text, parent):
    import hcl2

    # The attributes that the provider's documentation has, all of them required but the TTL.
    values = {"dns_ns_record_set": "nameservers", "dns_aaaa_record_set": "addresses", "dns_a_record_set": "addresses"}
    seen = set()
    for resource in hcl2.loads(text)["resource"]:
        [(kind, labelled)] = resource.items()
        [(label, block)] = labelled.items()
        kind, label = kind.strip('"'), label.strip('"')
        assert (kind, label) not in seen and (label[0].isalpha() or label[0] == "_"), label
        seen.add((kind, label))
        block = {key: value for key, value in block.items() if not key.startswith("__")}
        assert set(block) == {"zone", "name", values[kind], "ttl"}, block
        assert unquoted(block["zone"]) == parent
        rtype = kind.split("_")[1].upper()
        for value in block[values[kind]]:
            yield f"{unquoted(block['name'])}.{parent}", block["ttl"], rtype, unquoted(value)


def unquoted(text):
    return text[1:-1] if text.startswith('"') else text


dialect, parent = sys.argv[1:]
for record in globals()[dialect](sys.stdin.read(), parent):
    print(*record)
