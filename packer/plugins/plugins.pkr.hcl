# For Packer 1.7 and newer, once: `packer init packer/plugins`. Debian's Packer 1.6.6 has them built in and refuses this
# block, so it stands apart from the template.
packer {
  required_plugins {
    amazon = {
      version = "~> 1.3"
      source  = "github.com/hashicorp/amazon"
    }
    ansible = {
      version = "~> 1.1"
      source  = "github.com/hashicorp/ansible"
    }
  }
}
