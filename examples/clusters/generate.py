#!/usr/bin/env python3
"""Writes the example dumps beside this file, as `poolguard dump` writes them: one object a line.

Every cluster has two AutoMQ instances: kf-orders in one zone, and kf-events in three. What is particular to a
provider is in PROVIDERS, with its source where it is documented. README.md explains the files.
"""

import json
import pathlib

HERE = pathlib.Path(__file__).parent
TAINT = {"key": "dedicated", "value": "automq", "effect": "NoSchedule"}
EVERYWHERE = [{"operator": "Exists"}]
INSTANCES = [("automq-orders", "kf-orders", "orders", 1), ("automq-events", "kf-events", "events", 3)]
SYSTEM = "system"
# Kinds that a check reads and of which these clusters have no object.
NONE = [
    ("v1", "ReplicationController"),
    ("batch/v1", "Job"),
    ("batch/v1", "CronJob"),
    ("rbac.authorization.k8s.io/v1", "Role"),
    ("rbac.authorization.k8s.io/v1", "ClusterRole"),
    ("rbac.authorization.k8s.io/v1", "RoleBinding"),
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"),
]


def thing(api, kind, namespace, name, **rest):
    metadata = {"name": name}
    if namespace:
        metadata["namespace"] = namespace
    for key in ("labels", "annotations", "ownerReferences"):
        if rest.get(key):
            metadata[key] = rest.pop(key)
        rest.pop(key, None)
    return {"apiVersion": api, "kind": kind, "metadata": metadata} | rest


class Cloud:
    """A provider; a subclass says what its nodes look like."""

    zones = ()
    broker_type = system_type = ""
    system_taints = []
    # Of service accounts: the cloud identity of their pods.
    identity = {}
    # By which label the zone of a volume is named, and how.
    volume_label = ""
    provisioner = storage_class = ""
    # Namespace and DaemonSet.
    agents = ()
    pool_label = ""

    def pool(self, name):
        """What the provider calls a pool."""
        return name if name == SYSTEM else f"automq-{name}"

    def volume_zone(self, zone):
        return zone

    def extra(self):
        return []

    def common(self, name, zone, machine):
        region = self.region
        return {
            "beta.kubernetes.io/arch": "amd64",
            "beta.kubernetes.io/instance-type": machine,
            "beta.kubernetes.io/os": "linux",
            "failure-domain.beta.kubernetes.io/region": region,
            "failure-domain.beta.kubernetes.io/zone": zone,
            "kubernetes.io/arch": "amd64",
            "kubernetes.io/hostname": name,
            "kubernetes.io/os": "linux",
            "node.kubernetes.io/instance-type": machine,
            "topology.kubernetes.io/region": region,
            "topology.kubernetes.io/zone": zone,
        }


class Aws(Cloud):
    # Amazon EKS User Guide: managed node groups; kubernetes/cloud-provider-aws (providerID, topology.k8s.aws/zone-id).
    region, zones = "us-east-1", ("us-east-1a", "us-east-1b", "us-east-1c")
    broker_type, system_type = "r6in.large", "t3.large"
    identity = {"eks.amazonaws.com/role-arn": "arn:aws:iam::111122223333:role/automq-instance-{id}"}
    volume_label = "topology.ebs.csi.aws.com/zone"
    provisioner, storage_class = "ebs.csi.aws.com", "automq-disk-aws-gp3"
    pool_label = "eks.amazonaws.com/nodegroup"
    agents = (
        ("kube-system", "aws-node"), ("kube-system", "kube-proxy"), ("kube-system", "ebs-csi-node"),
        ("kube-system", "eks-pod-identity-agent"), ("amazon-guardduty", "aws-guardduty-agent"),
        ("amazon-cloudwatch", "cloudwatch-agent"), ("amazon-cloudwatch", "fluent-bit"),
    )

    def node(self, pool, zone, number, machine):
        name = f"ip-10-0-{self.zones.index(zone)}-{number}.ec2.internal"
        labels = self.common(name, zone, machine) | {
            "eks.amazonaws.com/capacityType": "ON_DEMAND",
            "eks.amazonaws.com/nodegroup": self.pool(pool),
            "eks.amazonaws.com/nodegroup-image": "ami-0abcdef1234567890",
            "k8s.io/cloud-provider-aws": "0123456789abcdef0123456789abcdef",
            "topology.ebs.csi.aws.com/zone": zone,
            "topology.k8s.aws/zone-id": f"use1-az{self.zones.index(zone) + 1}",
        }
        return name, labels, {}, f"aws:///{zone}/i-{number:017x}"

    def extra(self):
        roles = "".join(
            f"- rolearn: arn:aws:iam::111122223333:role/{role}\n  username: system:node:{{{{EC2PrivateDNSName}}}}\n"
            "  groups: [system:bootstrappers, system:nodes]\n"
            for role in ("automq-node",)
        )
        return [thing("v1", "ConfigMap", "kube-system", "aws-auth", data={"mapRoles": roles})]


class OpenShift(Aws):
    # Red Hat documentation: ROSA with hosted control planes (machine pools; the control plane has no node here);
    # openshift/hypershift (label of the pool).
    broker_type, system_type = "r6i.large", "m6i.xlarge"
    pool_label = "hypershift.openshift.io/nodePool"
    agents = (
        ("openshift-dns", "dns-default"), ("openshift-multus", "multus"), ("openshift-ovn-kubernetes", "ovnkube-node"),
        ("openshift-machine-config-operator", "machine-config-daemon"), ("openshift-monitoring", "node-exporter"),
        ("openshift-cluster-csi-drivers", "aws-ebs-csi-driver-node"), ("openshift-image-registry", "node-ca"),
        ("openshift-cluster-node-tuning-operator", "tuned"),
    )

    def pool(self, name):
        return "demo-workers" if name == SYSTEM else f"demo-automq-{name}"

    def node(self, pool, zone, number, machine):
        name = f"ip-10-0-{self.zones.index(zone)}-{number}.ec2.internal"
        labels = self.common(name, zone, machine) | {
            "hypershift.openshift.io/managed": "true",
            "hypershift.openshift.io/nodePool": self.pool(pool),
            "node-role.kubernetes.io/worker": "",
            "node.openshift.io/os_id": "rhel",
            "topology.ebs.csi.aws.com/zone": zone,
            "topology.k8s.aws/zone-id": f"use1-az{self.zones.index(zone) + 1}",
        }
        return name, labels, {}, f"aws:///{zone}/i-{number:017x}"

    def extra(self):
        return []


class Gcp(Cloud):
    # Google Cloud documentation: GKE node labels; kubernetes/cloud-provider-gcp (providerID).
    region, zones = "us-central1", ("us-central1-a", "us-central1-b", "us-central1-c")
    broker_type, system_type = "n4d-standard-2", "n4d-standard-4"
    identity = {"iam.gke.io/gcp-service-account": "automq-{id}@demo-project.iam.gserviceaccount.com"}
    volume_label = "topology.gke.io/zone"
    provisioner, storage_class = "pd.csi.storage.gke.io", "automq-disk-gcp-pd-balanced"
    pool_label = "cloud.google.com/gke-nodepool"
    agents = (
        ("kube-system", "anetd"), ("kube-system", "fluentbit-gke"), ("kube-system", "gke-metadata-server"),
        ("kube-system", "netd"), ("kube-system", "node-local-dns"), ("kube-system", "pdcsi-node"),
        ("gmp-system", "collector"),
    )

    def node(self, pool, zone, number, machine):
        name = f"gke-demo-{self.pool(pool)}-4c1f0a2e-{number:04x}"
        labels = self.common(name, zone, machine) | {
            "cloud.google.com/gke-boot-disk": "hyperdisk-balanced",
            "cloud.google.com/gke-container-runtime": "containerd",
            "cloud.google.com/gke-nodepool": self.pool(pool),
            "cloud.google.com/gke-os-distribution": "cos",
            "cloud.google.com/gke-provisioning": "standard",
            "cloud.google.com/machine-family": "n4d",
            "iam.gke.io/gke-metadata-server-enabled": "true",
            "topology.gke.io/zone": zone,
        }
        if pool != SYSTEM:
            labels["node_type"] = "automq"
        return name, labels, {}, f"gce://demo-project/{zone}/{name}"


class Azure(Cloud):
    # Microsoft Learn: AKS reserved labels, availability zones; kubernetes-sigs/cloud-provider-azure (providerID).
    region, zones = "eastus", ("eastus-1", "eastus-2", "eastus-3")
    broker_type, system_type = "Standard_D4as_v5", "Standard_D4s_v3"
    system_taints = [{"key": "CriticalAddonsOnly", "value": "true", "effect": "NoSchedule"}]
    identity = {"azure.workload.identity/client-id": "00000000-0000-0000-0000-0000000000{n:02}"}
    volume_label = "topology.disk.csi.azure.com/zone"
    provisioner, storage_class = "disk.csi.azure.com", "automq-disk-azure-premium-ssd"
    pool_label = "kubernetes.azure.com/agentpool"
    agents = (
        ("kube-system", "azure-cns"), ("kube-system", "azure-ip-masq-agent"), ("kube-system", "cloud-node-manager"),
        ("kube-system", "csi-azuredisk-node"), ("kube-system", "csi-azurefile-node"), ("kube-system", "kube-proxy"),
        ("aks-istio-system", "azure-service-mesh-istio-cni-addon-node"), ("gadget", "gadget"),
    )

    def pool(self, name):
        # At most twelve lower-case letters and digits.
        return name if name == SYSTEM else f"mq{name}"

    def node(self, pool, zone, number, machine):
        scale_set = f"aks-{self.pool(pool)}-30211254-vmss"
        name = f"{scale_set}{number:06}"
        labels = self.common(name, zone, machine) | {
            "agentpool": self.pool(pool),
            "kubernetes.azure.com/agentpool": self.pool(pool),
            "kubernetes.azure.com/cluster": "MC_demo_demo_eastus",
            "kubernetes.azure.com/mode": "system" if pool == SYSTEM else "user",
            "kubernetes.azure.com/node-image-version": "AKSUbuntu-2204gen2containerd-202607.01.0",
            "kubernetes.azure.com/os-sku": "Ubuntu",
            "kubernetes.azure.com/role": "agent",
            "topology.disk.csi.azure.com/zone": zone,
        }
        group = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/mc_demo_demo_eastus"
        return name, labels, {}, (f"azure://{group}/providers/Microsoft.Compute/virtualMachineScaleSets/{scale_set}"
                                  f"/virtualMachines/{number}")


class Alibaba(Cloud):
    # kubernetes/cloud-provider-alibaba-cloud (providerID REGION.INSTANCE), kubernetes-sigs/alibaba-cloud-csi-driver
    # (topology label); Alibaba Cloud documentation: RRSA (pod-identity.alibabacloud.com/role-name).
    region, zones = "cn-hangzhou", ("cn-hangzhou-h", "cn-hangzhou-i", "cn-hangzhou-j")
    broker_type, system_type = "ecs.r7.large", "ecs.g7.large"
    identity = {"pod-identity.alibabacloud.com/role-name": "automq-{id}"}
    volume_label = "topology.diskplugin.csi.alibabacloud.com/zone"
    provisioner, storage_class = "diskplugin.csi.alibabacloud.com", "automq-disk-alicloud-essd"
    pool_label = "alibabacloud.com/nodepool-id"
    ids = {"orders": "np0a1b2c3d4e5f60718293a4b5c6d7e8f9", "events": "np1b2c3d4e5f60718293a4b5c6d7e8f90a",
           SYSTEM: "np2c3d4e5f60718293a4b5c6d7e8f90a1b"}
    agents = (
        ("kube-system", "csi-plugin"), ("kube-system", "kube-proxy-worker"), ("kube-system", "terway-eniip"),
        ("kube-system", "node-local-dns"), ("arms-prom", "node-exporter"), ("kruise-system", "kruise-daemon"),
    )

    def pool(self, name):
        return self.ids[name]

    def node(self, pool, zone, number, machine):
        name = f"{self.region}.10.0.{self.zones.index(zone)}.{number}"
        labels = self.common(name, zone, machine) | {
            "ack.aliyun.com": "c0123456789abcdef0123456789abcdef",
            "alibabacloud.com/ecs-instance-id": f"i-bp{number:018x}",
            "alibabacloud.com/nodepool-id": self.pool(pool),
            "topology.diskplugin.csi.alibabacloud.com/zone": zone,
        }
        return name, labels, {}, f"{self.region}.i-bp{number:018x}"


class Huawei(Cloud):
    # CCE documentation: Managing Node Labels, Managing Node Taints. The providerID is the ID of the server (inferred).
    region, zones = "cn-north-4", ("cn-north-4a", "cn-north-4b", "cn-north-4c")
    broker_type, system_type = "m7.large.8", "c7.large.2"
    volume_label = "failure-domain.beta.kubernetes.io/zone"
    provisioner, storage_class = "everest-csi-provisioner", "automq-disk-huawei-ssd"
    pool_label = "cce.cloud.com/cce-nodepool"
    agents = (
        ("kube-system", "everest-csi-driver"), ("kube-system", "icagent"), ("kube-system", "node-local-dns"),
        ("monitoring", "node-exporter"), ("monitoring", "log-agent-fluent-bit"),
    )

    def node(self, pool, zone, number, machine):
        name = f"192.168.{self.zones.index(zone)}.{number}"
        labels = self.common(name, zone, machine) | {
            "cce.cloud.com/cce-nodepool": self.pool(pool),
            "cce.cloud.com/cce-nodepool-id": f"00000000-aaaa-bbbb-cccc-{len(pool):012}",
            "failure-domain.beta.kubernetes.io/is-baremetal": "false",
            "kubernetes.io/availablezone": zone,
            "kubernetes.io/eniquota": "12",
            "node.kubernetes.io/baremetal": "false",
            "node.kubernetes.io/container-engine": "containerd",
            "node.kubernetes.io/subnetid": "11111111-aaaa-bbbb-cccc-222222222222",
            "os.architecture": "amd64",
            "os.name": "Huawei_Cloud_EulerOS_2.0_x86_64",
            "os.version": "5.10.0-182.0.0.95.r1941_123.hce2.x86_64",
        }
        return name, labels, {}, f"00000000-0000-0000-0000-{number:012x}"


class Tencent(Cloud):
    # TencentCloud/kubernetes-csi-tencentcloud (topology label); Tencent Cloud documentation: TKE node pools,
    # DescribeZones (100003 is ap-guangzhou-3). Labels of a node: AutoMQ/automq-labs, and public listings (inferred).
    region, zones = "gz", ("100003", "100004", "100006")
    broker_type, system_type = "SA5.LARGE16", "SA9.MEDIUM4"
    identity = {"tke.cloud.tencent.com/role-arn": "qcs::cam::uin/100012345678:roleName/automq-{id}"}
    volume_label = "topology.com.tencent.cloud.csi.cbs/zone"
    provisioner, storage_class = "com.tencent.cloud.csi.cbs", "automq-disk-tencent-ssd"
    pool_label = "tke.cloud.tencent.com/nodepool-id"
    ids = {"orders": "np-1a2b3c4d", "events": "np-5e6f7a8b", SYSTEM: "np-9c0d1e2f"}
    agents = (
        ("kube-system", "csi-cbs-node"), ("kube-system", "ip-masq-agent"), ("kube-system", "kube-proxy"),
        ("kube-system", "tke-cni-agent"), ("kube-system", "tke-eni-agent"), ("kube-system", "tke-monitor-agent"),
        ("tcss", "yunjing-agent"),
    )

    def pool(self, name):
        return self.ids[name]

    def volume_zone(self, zone):
        return f"ap-guangzhou-{int(zone[-4:])}"

    def node(self, pool, zone, number, machine):
        name = f"10.0.{self.zones.index(zone)}.{number}"
        labels = self.common(name, zone, machine) | {
            "cloud.tencent.com/node-instance-id": f"ins-{number:08x}",
            "tke.cloud.tencent.com/nodepool-id": self.pool(pool),
            "topology.com.tencent.cloud.csi.cbs/zone": self.volume_zone(zone),
        }
        if pool != SYSTEM:
            labels["automqVendor"] = "automq"
        return name, labels, {}, f"qcloud:///{zone}/ins-{number:08x}"


class Oracle(Cloud):
    # Oracle documentation: Supported Labels for Different Usecases (zone, fault domain);
    # oracle/oci-cloud-controller-manager (providerID, annotation of the node pool); oracle-terraform-modules/
    # terraform-oci-oke (oke.oraclecloud.com/pool.name).
    region, zones = "phx", ("PHX-AD-1", "PHX-AD-2", "PHX-AD-3")
    broker_type, system_type = "VM.Standard.E5.Flex", "VM.Standard.E4.Flex"
    volume_label = "failure-domain.beta.kubernetes.io/zone"
    provisioner, storage_class = "blockvolume.csi.oraclecloud.com", "automq-oke-storage"
    pool_label = "oke.oraclecloud.com/pool.name"
    agents = (
        ("kube-system", "csi-oci-node"), ("kube-system", "kube-proxy"), ("kube-system", "proxymux-client"),
        ("kube-system", "vcn-native-ip-cni"), ("oci-onm", "oci-onm-logan"),
    )

    def node(self, pool, zone, number, machine):
        name = f"10.0.{10 + self.zones.index(zone)}.{number}"
        labels = self.common(name, zone, machine) | {
            "displayName": f"oke-cywiqripuyg-nsgagklgnst-st2qczvnmba-{number}",
            "hostname": f"oke-cywiqripuyg-nsgagklgnst-st2qczvnmba-{number}",
            "internal_addr": name,
            "node.info/kubeletVersion": "v1.33",
            "oci.oraclecloud.com/fault-domain": f"FAULT-DOMAIN-{number % 3 + 1}",
            "oke.oraclecloud.com/node.info.private_subnet": "true",
            "oke.oraclecloud.com/pool.name": self.pool(pool),
        }
        annotations = {"oci.oraclecloud.com/node-pool-id": f"ocid1.nodepool.oc1.phx.example{pool}"}
        return name, labels, annotations, f"ocid1.instance.oc1.phx.example{number:08x}"


PROVIDERS = {
    "alibaba": Alibaba(), "aws": Aws(), "azure": Azure(), "gcp": Gcp(), "huawei": Huawei(), "openshift": OpenShift(),
    "oracle": Oracle(), "tencent": Tencent(),
}


def nodes(cloud):
    """Every node: its pool, and the object."""
    made, number = [], 10
    for pool in ["orders", "events", SYSTEM]:
        for index in range(2 if pool == SYSTEM else 3):
            zone = cloud.zones[0 if pool == "orders" else index]
            machine = cloud.system_type if pool == SYSTEM else cloud.broker_type
            name, labels, annotations, provider_id = cloud.node(pool, zone, number, machine)
            taints = cloud.system_taints if pool == SYSTEM else [TAINT]
            made.append((pool, zone, node(name, labels, annotations, provider_id, taints)))
            number += 1
    return made


def node(name, labels, annotations, provider_id, taints):
    spec = {"providerID": provider_id} | ({"taints": taints} if taints else {})
    return thing("v1", "Node", "", name, labels=dict(sorted(labels.items())), annotations=annotations, spec=spec,
                 status={"conditions": [{"type": "Ready", "status": "True"}]})


def owner(api, kind, name):
    return [{"apiVersion": api, "kind": kind, "name": name, "controller": True}]


def pod(namespace, name, on, labels, owners, account, tolerations, **spec):
    spec = {"nodeName": on, "serviceAccountName": account, "tolerations": tolerations} | spec
    return thing("v1", "Pod", namespace, name, labels=labels, ownerReferences=owners, spec=spec,
                 status={"phase": "Running"})


def agents(cloud, all_nodes):
    for number, (namespace, name) in enumerate([*cloud.agents, ("observability", "vector")]):
        labels = {"app": name}
        template = {"metadata": {"labels": labels},
                    "spec": {"serviceAccountName": name, "tolerations": EVERYWHERE, "hostNetwork": True}}
        yield thing("apps/v1", "DaemonSet", namespace, name,
                    spec={"selector": {"matchLabels": labels}, "template": template})
        yield thing("v1", "ServiceAccount", namespace, name)
        for _, _, it in all_nodes:
            # One of them is everywhere; the others run on the first broker's node, too.
            on = it["metadata"]["name"]
            if number == 0 or on == all_nodes[0][2]["metadata"]["name"]:
                yield pod(namespace, f"{name}-{on.split('.')[0][-5:].strip('-')}{number}-{on[-3:].strip('.-')}".lower(),
                          on, labels, owner("apps/v1", "DaemonSet", name), name, EVERYWHERE)


def dns(cloud, all_nodes):
    namespace = "openshift-ingress" if isinstance(cloud, OpenShift) else "kube-system"
    name = "router-default" if isinstance(cloud, OpenShift) else "coredns"
    labels, tolerations = {"app": name}, [{"key": "CriticalAddonsOnly", "operator": "Exists"}]
    template = {"metadata": {"labels": labels}, "spec": {"serviceAccountName": name, "tolerations": tolerations}}
    spec = {"replicas": 2, "selector": {"matchLabels": labels}, "template": template}
    yield thing("apps/v1", "Deployment", namespace, name, spec=spec)
    revision = f"{name}-5d9c7b8f6"
    yield thing("apps/v1", "ReplicaSet", namespace, revision, ownerReferences=owner("apps/v1", "Deployment", name),
                spec=spec)
    yield thing("v1", "ServiceAccount", namespace, name)
    for index, (_, _, it) in enumerate([it for it in all_nodes if it[0] == SYSTEM]):
        yield pod(namespace, f"{revision}-{'abcdefgh'[index] * 5}", it["metadata"]["name"], labels,
                  owner("apps/v1", "ReplicaSet", revision), name, tolerations)


def instance(cloud, all_nodes, namespace, identifier, pool, number):
    hosts = [(zone, it["metadata"]["name"]) for of, zone, it in all_nodes if of == pool]
    account, chart = f"automq-{identifier}", f"{identifier}-automq-enterprise-controller"
    labels = {
        "app.kubernetes.io/instance": identifier, "app.kubernetes.io/name": "automq-enterprise",
        "automq.cloud/environment-id": "env-demo", "automq.cloud/instance-id": identifier,
    }
    match = [{"key": cloud.pool_label, "operator": "In", "values": [cloud.pool(pool)]}]
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {
        "nodeSelectorTerms": [{"matchExpressions": match}]}}}
    toleration = [{"key": "dedicated", "operator": "Equal", "value": "automq", "effect": "NoSchedule"}]
    identity = {key: value.format(id=identifier, n=number) for key, value in cloud.identity.items()}
    yield thing("v1", "ServiceAccount", namespace, account, annotations=identity)
    yield thing("v1", "ServiceAccount", namespace, "default")
    spec = {"serviceAccountName": account, "affinity": affinity, "tolerations": toleration}
    yield thing("apps/v1", "StatefulSet", namespace, chart, labels=labels, spec={
        "replicas": len(hosts), "serviceName": chart, "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": spec}})
    for index, (zone, host) in enumerate(hosts):
        name, volume = f"{chart}-{index}", f"pvc-{number:08x}-{index}"
        claim = f"data-{name}"
        volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}]
        yield pod(namespace, name, host, labels, owner("apps/v1", "StatefulSet", chart), account, toleration,
                  affinity=affinity, volumes=volumes)
        yield thing("v1", "PersistentVolumeClaim", namespace, claim, labels=labels,
                    spec={"storageClassName": cloud.storage_class, "volumeName": volume}, status={"phase": "Bound"})
        term = {"key": cloud.volume_label, "operator": "In", "values": [cloud.volume_zone(zone)]}
        yield thing("v1", "PersistentVolume", "", volume, spec={
            "storageClassName": cloud.storage_class, "csi": {"driver": cloud.provisioner, "volumeHandle": volume},
            "claimRef": {"namespace": namespace, "name": claim},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [term]}]}}},
            status={"phase": "Bound"})


def cluster(cloud):
    all_nodes = nodes(cloud)
    objects = [it for _, _, it in all_nodes]
    objects += agents(cloud, all_nodes)
    objects += dns(cloud, all_nodes)
    for number, (namespace, identifier, pool, _) in enumerate(INSTANCES, 1):
        objects += instance(cloud, all_nodes, namespace, identifier, pool, number)
    objects.append(thing("storage.k8s.io/v1", "StorageClass", "", cloud.storage_class, provisioner=cloud.provisioner,
                         volumeBindingMode="WaitForFirstConsumer"))
    objects += cloud.extra()
    names = {it["metadata"].get("namespace") for it in objects} | {"default", "kube-system"}
    objects += [thing("v1", "Namespace", "", name) for name in sorted(filter(None, names))]
    for api, kind in NONE:
        objects.append({"apiVersion": api, "kind": f"{kind}List", "metadata": {}, "items": []})
    key = lambda it: (it["kind"] != "Node", it["apiVersion"], it["kind"],
                      it["metadata"].get("namespace", ""), it["metadata"].get("name", ""))
    seen, unique = set(), []
    for it in sorted(objects, key=key):
        identity = json.dumps(key(it))
        if identity not in seen:
            seen.add(identity)
            unique.append(it)
    return unique


def main():
    for name, cloud in PROVIDERS.items():
        lines = [json.dumps(it, separators=(",", ":")) for it in cluster(cloud)]
        head = '{"apiVersion":"v1","kind":"List","metadata":{},"items":['
        (HERE / f"{name}.json").write_text(head + "\n" + ",\n".join(lines) + "\n]}\n")


if __name__ == "__main__":
    main()
