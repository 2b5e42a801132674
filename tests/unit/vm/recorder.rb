# Reads a Vagrantfile as Vagrant would for one provider, and prints what it was told, a line each. Arguments: the Vagrantfile, the provider.
require "json"

class Told
  def initialize(name)
    @name = name
  end

  def method_missing(name, *arguments, **options)
    return Told.new("#{@name}.#{name}") if arguments.empty? && options.empty?

    puts JSON.generate(["#{@name}.#{name}", *arguments, *(options.empty? ? [] : [options])])
  end

  def respond_to_missing?(*) = true
end

class Machine < Told
  def vm = self

  def provider(name)
    yield Told.new("provider"), Told.new("config") if name.to_s == ARGV[1]
  end
end

module Vagrant
  def self.configure(_version)
    yield Machine.new("config")
  end
end

module VagrantPlugins
  module ProviderLibvirt
    class Driver
      def get_ipaddress(*) = "told by the agent"
    end

    module Action
      class CreateNetworkInterfaces
        def to_xml(*) = "<interface type='user'></interface>"
      end
    end
  end
end

module Kernel
  alias_method :real_require, :require
  def require(name) = name.start_with?("vagrant-libvirt/") || real_require(name)
end

load ARGV[0]
puts JSON.generate(["address", VagrantPlugins::ProviderLibvirt::Driver.new.get_ipaddress])
interface = VagrantPlugins::ProviderLibvirt::Action::CreateNetworkInterfaces.new
puts JSON.generate(["interface", interface.to_xml("public_interface")])
