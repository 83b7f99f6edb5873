// Package distill has the stages that make smaller networks of trained ones: distill trains a student to be like its teachers.
package distill
