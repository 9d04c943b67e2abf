# The AMI. `make ami` runs this against AWS, `make image-test` against a stand-in for EC2.
#
# Debian's Packer 1.6.6 and today's take it alike, so it uses nothing that came after 1.6.6: IMDSv2, which newer ones have
# options for, is asked of EC2 by scripts/require_imdsv2.py.

locals {
  name          = "bucketzip-${var.version}-debian-${var.debian_release}-${var.architecture}-${formatdate("YYYYMMDDhhmmss", timestamp())}"
  instance_type = var.instance_type != "" ? var.instance_type : (var.architecture == "arm64" ? "c7g.large" : "c7i.large")
  in_test       = var.ec2_endpoint != ""
  tags = {
    Name         = local.name
    Product      = "bucketzip"
    Version      = var.version
    Architecture = var.architecture
    Base         = "{{ .SourceAMIName }}"
    BaseAMI      = "{{ .SourceAMI }}"
  }
}

source "amazon-ebs" "bucketzip" {
  region        = var.region
  instance_type = local.instance_type
  subnet_id     = var.subnet_id

  source_ami_filter {
    filters = {
      name                = "debian-${var.debian_release}-${var.architecture}-*"
      root-device-type    = "ebs"
      virtualization-type = "hvm"
    }
    owners      = [var.debian_owner]
    most_recent = true
  }

  ami_name        = local.name
  ami_description = "bucketzip ${var.version}: ZIP archives of objects in Amazon S3, inside your VPC"
  ami_users       = var.ami_users
  ena_support     = true
  encrypt_boot    = false # the Marketplace takes no encrypted snapshot; the launch template encrypts
  tags            = local.tags
  snapshot_tags   = local.tags
  run_tags        = { Name = "building ${local.name}" }
  run_volume_tags = { Name = "building ${local.name}" }

  launch_block_device_mappings {
    device_name           = "/dev/xvda"
    volume_type           = "gp3"
    volume_size           = var.volume_gib
    iops                  = 3000
    throughput            = 125
    delete_on_termination = true
  }

  ssh_username                          = "admin"
  temporary_key_pair_type               = "ed25519" # 1.6.6 makes an RSA key all the same
  ssh_clear_authorized_keys             = true
  temporary_security_group_source_cidrs = length(var.ssh_cidrs) > 0 ? var.ssh_cidrs : null

  custom_endpoint_ec2        = var.ec2_endpoint
  skip_metadata_api_check    = local.in_test
  skip_region_validation     = local.in_test
  skip_credential_validation = local.in_test
  ssh_host                   = var.ssh_host
  aws_polling {
    delay_seconds = local.in_test ? 1 : 15
    max_attempts  = local.in_test ? 60 : 240
  }
}

build {
  name    = "bucketzip"
  sources = ["source.amazon-ebs.bucketzip"]

  # The instance that builds answers to IMDSv2 only, before anything of ours runs there.
  provisioner "shell-local" {
    command = "${var.python} ${path.root}/scripts/require_imdsv2.py instance ${build.ID}"
    environment_vars = [
      "AWS_REGION=${var.region}",
      "EC2_ENDPOINT=${var.ec2_endpoint}",
    ]
  }

  provisioner "ansible" {
    playbook_file   = "${path.root}/../ansible/image.yml"
    user            = "admin"
    use_proxy       = false # Packer's own proxy offers a kind of host key that OpenSSH refuses by now
    extra_arguments = ["--extra-vars", "bucketzip_start=false"]
    ansible_env_vars = [
      "ANSIBLE_HOST_KEY_CHECKING=False",
      "ANSIBLE_PIPELINING=True",
    ]
  }

  # Mirror images: what one removes, the other asserts is gone.
  provisioner "shell" {
    execute_command = "sudo env {{ .Vars }} sh {{ .Path }}"
    scripts = [
      "${path.root}/scripts/cleanup.sh",
      "${path.root}/scripts/validate.sh",
    ]
  }

  post-processors {
    post-processor "manifest" {
      output     = var.manifest
      strip_path = true
      custom_data = {
        version      = var.version
        architecture = var.architecture
      }
    }
    post-processor "shell-local" {
      command = "${var.python} ${path.root}/scripts/require_imdsv2.py images ${var.manifest}"
      environment_vars = [
        "AWS_REGION=${var.region}",
        "EC2_ENDPOINT=${var.ec2_endpoint}",
      ]
    }
  }
}
