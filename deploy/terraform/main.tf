# One application: the function that its workers run in, and a machine for its coordinator.
# The same as ../template.yaml; ../README.md walks through it.

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.31"
    }
  }
}

data "aws_partition" "here" {}
data "aws_region" "here" {}

data "aws_ssm_parameter" "image" {
  name = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64"
}

locals {
  s3      = "arn:${data.aws_partition.here.partition}:s3:::"
  assumed = { lambda = "lambda.amazonaws.com", ec2 = "ec2.amazonaws.com" }
}

data "aws_iam_policy_document" "assume" {
  for_each = local.assumed
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = [each.value]
    }
  }
}

resource "aws_cloudwatch_log_group" "worker" {
  name              = "/aws/lambda/${var.name}-worker"
  retention_in_days = 14
}

# What tasks may do. Nothing of it lets a worker start others: only the coordinator does.
resource "aws_iam_role" "worker" {
  name_prefix        = "${var.name}-worker-"
  assume_role_policy = data.aws_iam_policy_document.assume["lambda"].json
}

data "aws_iam_policy_document" "worker" {
  statement {
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.worker.arn}:*"]
  }
  dynamic "statement" {
    for_each = var.data_bucket == null ? [] : [var.data_bucket]
    content {
      actions   = ["s3:ListBucket"]
      resources = ["${local.s3}${statement.value}"]
    }
  }
  dynamic "statement" {
    for_each = var.data_bucket == null ? [] : [var.data_bucket]
    content {
      actions   = ["s3:GetObject", "s3:PutObject"]
      resources = ["${local.s3}${statement.value}/*"]
    }
  }
}

resource "aws_iam_role_policy" "worker" {
  name   = "worker"
  role   = aws_iam_role.worker.id
  policy = data.aws_iam_policy_document.worker.json
}

resource "aws_lambda_function" "worker" {
  function_name                  = "${var.name}-worker"
  role                           = aws_iam_role.worker.arn
  filename                       = var.package
  source_code_hash               = filebase64sha256(var.package)
  handler                        = "bootstrap"
  runtime                        = "provided.al2023"
  architectures                  = ["arm64"]
  memory_size                    = var.memory_mb
  timeout                        = var.time_limit_seconds
  reserved_concurrent_executions = var.workers_max

  environment {
    variables = {
      # Where workers connect is configured here and never taken from an invocation.
      FARSPAWN_COORDINATOR = "wss://${var.host_name}:7443"
      FARSPAWN_CA          = "/var/task/ca.pem"
    }
  }

  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.worker.name
  }
}

# A launch that was not started in a minute is of no use any more, and is not to be repeated: the
# coordinator makes another.
resource "aws_lambda_function_event_invoke_config" "worker" {
  function_name                = aws_lambda_function.worker.function_name
  maximum_event_age_in_seconds = 60
  maximum_retry_attempts       = 0
}

resource "aws_iam_role" "coordinator" {
  name_prefix        = "${var.name}-coordinator-"
  assume_role_policy = data.aws_iam_policy_document.assume["ec2"].json
}

# A shell without SSH, by Session Manager.
resource "aws_iam_role_policy_attachment" "shell" {
  role       = aws_iam_role.coordinator.name
  policy_arn = "arn:${data.aws_partition.here.partition}:iam::aws:policy/AmazonSSMManagedInstanceCore"
}

data "aws_iam_policy_document" "coordinator" {
  statement {
    actions = [
      "lambda:InvokeFunction",
      "lambda:GetFunction",
      "lambda:GetFunctionConfiguration",
      "lambda:GetFunctionConcurrency",
    ]
    resources = [aws_lambda_function.worker.arn]
  }
  statement {
    actions   = ["s3:GetObject"]
    resources = ["${local.s3}${var.state_bucket}/farspawn/*"]
  }
}

resource "aws_iam_role_policy" "coordinator" {
  name   = "coordinator"
  role   = aws_iam_role.coordinator.id
  policy = data.aws_iam_policy_document.coordinator.json
}

resource "aws_iam_instance_profile" "coordinator" {
  name_prefix = "${var.name}-coordinator-"
  role        = aws_iam_role.coordinator.name
}

resource "aws_security_group" "coordinator" {
  name_prefix = "${var.name}-coordinator-"
  description = "Farspawn coordinator"
  vpc_id      = var.vpc_id

  # Workers and clients. A function outside of a VPC has no address of its own; TLS and launch
  # tokens say who it is.
  ingress {
    description = "relay"
    protocol    = "tcp"
    from_port   = 7443
    to_port     = 7443
    cidr_blocks = ["0.0.0.0/0"]
  }

  ingress {
    description = "tasks over HTTP"
    protocol    = "tcp"
    from_port   = 8443
    to_port     = 8443
    cidr_blocks = [var.client_cidr]
  }

  egress {
    protocol    = "-1"
    from_port   = 0
    to_port     = 0
    cidr_blocks = ["0.0.0.0/0"]
  }
}

resource "aws_instance" "coordinator" {
  ami                    = data.aws_ssm_parameter.image.value
  instance_type          = var.instance_type
  iam_instance_profile   = aws_iam_instance_profile.coordinator.name
  subnet_id              = var.subnet_id
  vpc_security_group_ids = [aws_security_group.coordinator.id]

  metadata_options {
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  user_data = templatefile("${path.module}/start.sh", {
    region       = data.aws_region.here.name
    state_bucket = var.state_bucket
    function     = aws_lambda_function.worker.function_name
    host_name    = var.host_name
    workers_max  = var.workers_max
  })
  user_data_replace_on_change = true

  tags = { Name = "${var.name}-coordinator" }
}

resource "aws_eip" "coordinator" {
  domain   = "vpc"
  instance = aws_instance.coordinator.id
}
