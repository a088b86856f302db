variable "name" {
  description = "What names begin with"
  type        = string
  default     = "farspawn"
}

variable "host_name" {
  description = "The name in the coordinator's certificate, such as farspawn.example.com"
  type        = string
}

variable "package" {
  description = "The zip file that `cargo lambda build --output-format zip` has written, with ca.pem added"
  type        = string
}

variable "state_bucket" {
  description = "A bucket with the coordinator's files under farspawn/: farspawn, chain.pem, key.pem, app.key, farspawn.service"
  type        = string
}

variable "data_bucket" {
  description = "A bucket that tasks read and write, if any"
  type        = string
  default     = null
}

variable "memory_mb" {
  description = "MB of each worker; 1769 is one CPU"
  type        = number
  default     = 1769
  validation {
    condition     = var.memory_mb >= 128 && var.memory_mb <= 10240
    error_message = "Lambda has 128 to 10240 MB."
  }
}

variable "time_limit_seconds" {
  description = "How long a worker lives at most; it drains at 80 % of it"
  type        = number
  default     = 900
  validation {
    condition     = var.time_limit_seconds >= 60 && var.time_limit_seconds <= 900
    error_message = "A worker lives for 60 to 900 seconds."
  }
}

variable "workers_max" {
  description = "Workers at once; reserved from the account's concurrency"
  type        = number
  default     = 50
}

variable "instance_type" {
  description = "The coordinator's machine, with Arm processors"
  type        = string
  default     = "t4g.small"
}

variable "vpc_id" {
  description = "Where the coordinator is"
  type        = string
}

variable "subnet_id" {
  description = "A public subnet of it"
  type        = string
}

variable "client_cidr" {
  description = "Who may submit tasks over HTTP, such as 203.0.113.0/24"
  type        = string
}
