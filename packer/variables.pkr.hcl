variable "version" {
  type        = string
  description = "Version of bucketzip, for names and tags."
}

variable "region" {
  type        = string
  default     = "us-east-1"
  description = "Where the image is built; the Marketplace takes images of us-east-1."
}

variable "architecture" {
  type        = string
  default     = "amd64"
  description = "As Debian names it: amd64 or arm64."
  validation {
    condition     = contains(["amd64", "arm64"], var.architecture)
    error_message = "The architecture is amd64 or arm64."
  }
}

variable "debian_release" {
  type        = string
  default     = "13"
  description = "The Debian that it is built on; the wheelhouse is for the Python of that release."
}

variable "debian_owner" {
  type        = string
  default     = "136693071363"
  description = "Debian's account, which China and GovCloud have others for: https://wiki.debian.org/Cloud/AmazonEC2Image"
}

variable "instance_type" {
  type        = string
  default     = ""
  description = "To build on; by default c7i.large or c7g.large."
}

variable "volume_gib" {
  type        = number
  default     = 8
  description = "Size of the root volume. State and logs may be on it, content of objects never is."
}

variable "subnet_id" {
  type        = string
  default     = null
  description = "Where to build, with a way to Debian's mirrors; by default the default VPC."
}

variable "ssh_cidrs" {
  type        = list(string)
  default     = []
  description = "From where the builder connects; by default the address that it has now."
}

variable "ami_users" {
  type        = list(string)
  default     = []
  description = "Accounts that may launch the image, beside this one."
}

variable "manifest" {
  type        = string
  default     = "build/image/packer-manifest.json"
  description = "Where what was built is written down."
}

# A build without AWS, as tests/image does it: an EC2 endpoint that makes no machines, and a machine to come to.

variable "ec2_endpoint" {
  type        = string
  default     = ""
  description = "Of EC2, where it is not AWS's."
}

variable "ssh_host" {
  type        = string
  default     = null
  description = "Where the instance is reached, where EC2 does not say it."
}

variable "python" {
  type        = string
  default     = "python3"
  description = "A Python with boto3."
}
